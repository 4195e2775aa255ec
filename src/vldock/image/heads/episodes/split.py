"""Split of rows into training and held-out, by episode."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from vldock.common.errors import InputRefused
from vldock.image.heads.episodes.rows import Episodes


def split(
    sets: Sequence[Episodes], *, held_out: float, seed: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the (data set, row) pairs to train on, and those held out.

    An episode is held out by a hash of its name and the seed, so it stays where it is when others are added; one with
    a split of its own keeps that. At least one episode is on each side: the one with the smallest, or largest, hash.
    Raises InputRefused for fewer than two episodes.
    """
    episodes: dict[tuple[int, str], str] = {}
    for number, one in enumerate(sets):
        episodes |= {(number, row.episode): row.split for row in one.rows}
    if len(episodes) < 2:
        raise InputRefused(
            f"{', '.join(one.name for one in sets)}: {len(episodes)} episode",
            expected="two or more, one of them held out",
        )
    place = {key: _fraction(f"{seed}/{key[1]}") for key in episodes}
    out = {key for key, own in episodes.items() if (own == "held-out" if own else place[key] < held_out)}
    free = sorted((key for key, own in episodes.items() if not own), key=place.__getitem__)
    if not out and free:
        out.add(free[0])
    if len(out) == len(episodes) and free:
        out.discard(free[-1])
    if not 0 < len(out) < len(episodes):
        raise InputRefused(
            "every episode has the same split", expected="episodes to train on, and others held out (split: held-out)"
        )
    pairs = [
        (number, row, (number, each.episode)) for number, one in enumerate(sets) for row, each in enumerate(one.rows)
    ]
    train = [(number, row) for number, row, key in pairs if key not in out]
    return train, [(number, row) for number, row, key in pairs if key in out]


def _fraction(text: str) -> float:
    """Return a number within 0..1 that only the text decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48
