"""Open answers are scored by as many processes as are useful."""

from __future__ import annotations

import os

import pytest

from vldock.image.vlmeval_hooks.process import scoring_pool


def who(row: int) -> tuple[int, int]:
    return row, os.getpid()


def test_few_rows_are_scored_here_in_their_order() -> None:
    assert scoring_pool.make(3).map(who, [5, 3, 4]) == [(row, os.getpid()) for row in (5, 3, 4)]


def test_many_rows_are_scored_by_others_in_their_order() -> None:
    with scoring_pool.make(scoring_pool.FEW + 1) as pool:
        found = pool.map(who, range(scoring_pool.FEW + 1))

    assert [row for row, _ in found] == list(range(scoring_pool.FEW + 1))
    assert os.getpid() not in {number for _, number in found}


def test_what_scoring_raises_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        scoring_pool.make(1).map(int, ["x"])
