"""Samples and splits of a data set.

Stratified by group, drawn by a seed.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def sample(items: Sequence[T], fraction: float, *, group: Callable[[T], str], seed: int) -> list[T]:
    """Return `fraction` of every group, in the order of `items`.

    Rounded up: no group vanishes.
    """
    chosen = {at for members in _groups(items, group, seed).values() for at in members[: _share(members, fraction)]}
    return [item for at, item in enumerate(items) if at in chosen]


def hold_out(
    items: Sequence[T],
    fraction: float,
    *,
    group: Callable[[T], str],
    seed: int,
    parts: Callable[[T], Iterable[str]] = lambda item: (),
) -> tuple[list[T], list[T]]:
    """Return (training, held out), with `fraction` of every group held out.

    Rounded up, with at least one remaining for training.

    Items that have one of their `parts` (a picture's bytes) in common are on one side, counted as one of the first's
    group.
    """
    units = _units([tuple(parts(item)) for item in items])
    out: set[int] = set()
    for members in _groups([items[unit[0]] for unit in units], group, seed).values():
        chosen = members[: min(_share(members, fraction), len(members) - 1)]
        out.update(at for unit in chosen for at in units[unit])
    kept = [item for at, item in enumerate(items) if at not in out]
    return kept, [item for at, item in enumerate(items) if at in out]


def _units(parts: Sequence[tuple[str, ...]]) -> list[list[int]]:
    """Return positions grouped by any part in common.

    Groups are in the order of their first positions.
    """
    above = list(range(len(parts)))

    def root(at: int) -> int:
        while above[at] != at:
            above[at] = at = above[above[at]]
        return at

    first: dict[str, int] = {}
    for at, names in enumerate(parts):
        for name in names:
            one, two = sorted((root(at), root(first.setdefault(name, at))))
            above[two] = one
    units: dict[int, list[int]] = defaultdict(list)
    for at in range(len(parts)):
        units[root(at)].append(at)
    return list(units.values())


def _share(members: Sequence[int], fraction: float) -> int:
    return math.ceil(len(members) * fraction - 1e-9)


def _groups(items: Sequence[T], group: Callable[[T], str], seed: int) -> dict[str, list[int]]:
    """Return the shuffled positions of each group's members.

    A group's draw does not depend on the others.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        groups[group(item)].append(at)
    for name, members in groups.items():
        random.Random(f"{seed}:{name}").shuffle(members)
    return groups
