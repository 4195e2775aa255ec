"""Whose fault a death was: the cell's, the model's or the device's. Pure bookkeeping, no clock and no container.

A cell, or a model load, that dies on two devices (twice, where there is one) is given up, and the devices are cleared
of it. A device on which two others die in a row is left out, as long as another remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vldock.host.runs.plan import Key

STRIKES = 2  # a cell, or a model load, that dies twice is given up
DEVICE_STRIKES = 2  # a device on which two die in a row, nothing finished in between, is left out
HOPELESS = 3  # given up in a row, nothing finished in between: it is no longer the cells' fault

Culprit = tuple[str, str | None]  # model and benchmark; without a benchmark: the model's load


@dataclass(frozen=True)
class Decision:
    """What follows from a death: the culprit is given up, devices are left out, or (neither) it is tried again."""

    given_up: bool = False
    left_out: tuple[str, ...] = ()


@dataclass
class FailurePolicy:
    """The deaths of a run; `usable` are the devices that are not left out."""

    usable: list[str]
    struck: dict[Culprit, list[tuple[str, ...]]] = field(default_factory=dict)
    deaths: dict[str, list[Culprit]] = field(default_factory=dict)
    loaded: dict[str, set[str]] = field(default_factory=dict)
    in_a_row: int = 0

    @property
    def hopeless(self) -> bool:
        """Tell whether nothing works any more, whatever is tried."""
        return self.in_a_row >= HOPELESS

    def model_loaded(self, model: str, names: Iterable[str]) -> None:
        """A model was loaded there: that it dies elsewhere is the other device's fault."""
        self.loaded.setdefault(model, set()).update(names)

    def finished(self, names: Iterable[str]) -> None:
        """A cell was finished there."""
        self.in_a_row = 0
        for name in names:
            self.deaths.pop(name, None)

    def tried(self, culprit: Culprit) -> set[str]:
        """Return the devices a culprit died on."""
        return {name for names in self.struck.get(culprit, ()) for name in names}

    def avoided(self, key: Key) -> frozenset[str]:
        """Return the devices a cell should not go to again, as long as there is another."""
        tried = self.tried(key) | self.tried((key[0], None))
        return frozenset(tried) if set(self.usable) - tried else frozenset()

    def died(self, culprit: Culprit, names: Sequence[str], *, final: bool = False) -> Decision:
        """Take down a death on a device, or on several that shared a cell.

        `final`: where no other device is left it is given up the first time.
        """
        places = self.struck.setdefault(culprit, [])
        places.append(tuple(names))
        for name in names:
            self.deaths.setdefault(name, []).append(culprit)
        elsewhere = set(self.usable) - self.tried(culprit)
        works = culprit[1] is None and self.loaded.get(culprit[0], set()) & set(self.usable) - set(names)
        twice = len(places) >= STRIKES and (len(set(places)) > 1 or not elsewhere)
        if (twice and not works) or (final and not elsewhere and not works):
            return self.give_up(culprit)
        return Decision(left_out=self.leave_out(name for name in names if len(self.deaths[name]) >= DEVICE_STRIKES))

    def give_up(self, culprit: Culprit, *, refused: bool = False) -> Decision:
        """Clear the devices of a culprit that is given up; a refusal is no sign of a device's end."""
        self.deaths = {name: [one for one in seen if one != culprit] for name, seen in self.deaths.items()}
        self.in_a_row += not refused
        return Decision(given_up=True)

    def leave_out(self, names: Iterable[str]) -> tuple[str, ...]:
        """Take devices out of use, but not the last one, and return those that went."""
        gone = []
        for name in list(names):
            if name in self.usable and len(self.usable) > 1:
                self.usable.remove(name)
                gone.append(name)
        return tuple(gone)
