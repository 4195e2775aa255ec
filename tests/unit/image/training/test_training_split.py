"""Parts of a data set: proportions kept, drawn by a seed, shared pictures on one side."""

from __future__ import annotations

from collections import Counter

import pytest

from vldock.image.training.data import split


@pytest.mark.parametrize("seed", range(8))
def test_records_that_share_pictures_in_a_chain_stay_together(seed: int) -> None:
    chain = [("a", "b"), ("e",), ("b", "d"), ("f",), ("d", "c"), ("c", "a"), ("g",)]

    kept, out = split.hold_out(chain, 0.5, group=lambda item: "", seed=seed, parts=lambda item: item)

    sides = [{name for item in side for name in item} for side in (kept, out)]
    assert sides[0] & sides[1] == set()
    assert sides[0] | sides[1] == {*"abcdefg"}
    assert all(sides)


def test_data_with_a_picture_of_its_own_for_each_record_keeps_its_split() -> None:
    items = [f"{at}" for at in range(40)]

    found = [
        split.hold_out(items, 0.1, group=lambda item: str(int(item) % 3), seed=7, parts=parts)
        for parts in (lambda item: (), lambda item: (item,))
    ]

    assert found[0] == found[1]
    assert found[0][1] == ["3", "17", "20", "31", "36", "37"]  # as it was when nothing was told of pictures


def test_a_sample_keeps_the_proportions_and_follows_its_seed() -> None:
    items = [f"{group}{number}" for group, count in (("a", 40), ("b", 10), ("c", 1)) for number in range(count)]

    drawn = split.sample(items, 0.1, group=lambda item: item[0], seed=3)

    assert Counter(item[0] for item in drawn) == {"a": 4, "b": 1, "c": 1}
    assert drawn == split.sample(items, 0.1, group=lambda item: item[0], seed=3)
    assert drawn != split.sample(items, 0.1, group=lambda item: item[0], seed=4)
    assert split.sample(items, 1.0, group=lambda item: item[0], seed=3) == items


def test_held_out_items_are_of_every_group_and_none_is_trained_on() -> None:
    items = [f"{group}{number}" for group in "ab" for number in range(10)] + ["c0"]

    kept, out = split.hold_out(items, 0.2, group=lambda item: item[0], seed=0)

    assert Counter(item[0] for item in out) == {"a": 2, "b": 2}
    assert sorted(kept + out) == sorted(items)
