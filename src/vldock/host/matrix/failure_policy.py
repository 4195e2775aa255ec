"""Failure policy: retry a cell, give it up, or leave a device out.

Whose fault a death was: the cell's, the model's or the device's. Pure bookkeeping, no clock and no container.

A cell, or a model load, that dies on two devices (twice, where there is one) is given up, and no longer counts against
the devices. A device with two consecutive deaths of others is left out, as long as another remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vldock.host.runs.plan import Key

STRIKES = 2  # a cell, or a model load, that dies twice is given up
DEVICE_STRIKES = 2  # a device with two consecutive deaths, no cell finished in between, is left out
HOPELESS = 3  # consecutive give-ups, no cell finished in between: no longer the cells' fault

Culprit = tuple[str, str | None]  # model and benchmark; without a benchmark: the model's load


@dataclass(frozen=True)
class Decision:
    """Consequence of a death.

    Give the culprit up, leave devices out, or (neither) retry it.
    """

    given_up: bool = False
    left_out: tuple[str, ...] = ()


@dataclass
class FailurePolicy:
    """Deaths of a run so far, and its usable devices.

    `usable` are the devices not left out.
    """

    usable: list[str]
    struck: dict[Culprit, list[tuple[str, ...]]] = field(default_factory=dict)
    deaths: dict[str, list[Culprit]] = field(default_factory=dict)
    loaded: dict[str, set[str]] = field(default_factory=dict)
    consecutive_give_ups: int = 0

    @property
    def hopeless(self) -> bool:
        """Whether nothing works any more."""
        return self.consecutive_give_ups >= HOPELESS

    def record_load(self, model: str, names: Iterable[str]) -> None:
        """Record the devices on which a model was loaded.

        A later failure to load it on another device counts against that device.
        """
        self.loaded.setdefault(model, set()).update(names)

    def record_success(self, names: Iterable[str]) -> None:
        """Record a cell finished there."""
        self.consecutive_give_ups = 0
        for name in names:
            self.deaths.pop(name, None)

    def devices_tried(self, culprit: Culprit) -> set[str]:
        """Return the devices a culprit died on."""
        return {name for names in self.struck.get(culprit, ()) for name in names}

    def devices_to_avoid(self, key: Key) -> frozenset[str]:
        """Return the devices a cell died on, as long as there is another."""
        tried = self.devices_tried(key) | self.devices_tried((key[0], None))
        return frozenset(tried) if set(self.usable) - tried else frozenset()

    def record_death(self, culprit: Culprit, names: Sequence[str], *, final: bool = False) -> Decision:
        """Record a death on a device, or on several that shared a cell.

        `final`: where no other device remains, the culprit is given up the first time.
        """
        places = self.struck.setdefault(culprit, [])
        places.append(tuple(names))
        for name in names:
            self.deaths.setdefault(name, []).append(culprit)
        elsewhere = set(self.usable) - self.devices_tried(culprit)
        works = culprit[1] is None and self.loaded.get(culprit[0], set()) & set(self.usable) - set(names)
        twice = len(places) >= STRIKES and (len(set(places)) > 1 or not elsewhere)
        if (twice and not works) or (final and not elsewhere and not works):
            return self.give_up(culprit)
        return Decision(left_out=self.leave_out(name for name in names if len(self.deaths[name]) >= DEVICE_STRIKES))

    def give_up(self, culprit: Culprit, *, refused: bool = False) -> Decision:
        """Mark a culprit as given up and clear its deaths.

        A refusal does not count towards `hopeless`.
        """
        self.deaths = {name: [one for one in seen if one != culprit] for name, seen in self.deaths.items()}
        self.consecutive_give_ups += not refused
        return Decision(given_up=True)

    def leave_out(self, names: Iterable[str]) -> tuple[str, ...]:
        """Take devices out of use; return those taken out.

        The last device always remains in use.
        """
        gone = []
        for name in list(names):
            if name in self.usable and len(self.usable) > 1:
                self.usable.remove(name)
                gone.append(name)
        return tuple(gone)
