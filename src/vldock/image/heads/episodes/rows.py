"""Rows of an episode data set, and the faults it is refused for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vldock.common.errors import InputRefused, list_first

SHOWN = 20  # faults named in an error


class Picture(Protocol):
    """Image of one camera: a file, or a place inside one."""

    @property
    def name(self) -> str:
        """Return its short name."""

    def read_bytes(self) -> bytes:
        """Return an image file's bytes. Raises OSError."""


@dataclass(frozen=True)
class Row:
    """One step of an episode: pictures by camera, instruction, action.

    `where` names it to its owner ("rows.jsonl, line 3"). `state` is the proprioception, () without.
    `split` is "train" or "held-out" where the data set decides it, else "".
    """

    where: str
    episode: str
    pictures: dict[str, Picture]
    instruction: str
    action: tuple[float, ...]
    state: tuple[float, ...] = ()
    split: str = ""


@dataclass(frozen=True)
class Episodes:
    """Data set: name, form, cameras, rows in their order."""

    name: str
    form: str
    cameras: tuple[str, ...]
    rows: tuple[Row, ...]

    def vlm_idx(self, row: int, camera: int) -> int:
        """Return a picture's number in the cache: row * cameras + camera."""
        return row * len(self.cameras) + camera


@dataclass
class Faults:
    """Faults found in a data set."""

    found: list[str] = field(default_factory=list)

    def add(self, where: str, why: str) -> None:
        """Add one fault of a named row or file."""
        self.found.append(f"{where}: {why}")

    def refuse(self, path: Path) -> None:
        """Raise InputRefused with the first faults, if there are any."""
        if not self.found:
            return
        count = "1 fault" if len(self.found) == 1 else f"{len(self.found)} faults"
        raise InputRefused(
            f"{path}: {count}{list_first(self.found, SHOWN)}",
            expected="rows with episode, image or images, instruction and action; nothing was computed",
            hint="mend or remove those rows; the forms are in docs/use/policy-heads.md",
        )


def check(rows: Sequence[Row], faults: Faults) -> None:
    """Compare all rows with the first: cameras, numbers of action and state.

    An episode must be wholly of one split.
    """
    splits: dict[str, Row] = {}
    for row in rows:
        first, before = rows[0], splits.setdefault(row.episode, row)
        if set(row.pictures) != set(first.pictures):
            faults.add(row.where, f"cameras {_names(row)}, {_names(first)} in {first.where}")
        for name in ("action", "state"):
            own, theirs = len(getattr(row, name)), len(getattr(first, name))
            if own != theirs:
                faults.add(row.where, f"{name} has {own} numbers, {theirs} in {first.where}")
        if row.split != before.split:
            faults.add(row.where, f"episode {row.episode} is {row.split!r} here, {before.split!r} in {before.where}")


def _names(row: Row) -> str:
    return ", ".join(row.pictures) or "none"
