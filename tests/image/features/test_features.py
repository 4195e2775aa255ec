"""The feature cache: what comes out is what went in, for this tower and no other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import feature_writers
import pytest
import torch
from feature_fixture import Mean
from feature_writers import SPACE

from vldock.common.errors import InputRefused
from vldock.image.features import evict, file_locks, lookup, shards
from vldock.image.features.cache import FeatureCache
from vldock.image.features.space import Entry


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    (tmp_path / "cache").mkdir()
    with FeatureCache(tmp_path / "cache", SPACE, rows=2) as made:
        yield made


def put(cache: FeatureCache, *numbers: int) -> None:
    for number in numbers:
        cache.put(Entry("numbers", number, str(number)), feature_writers.expected(number))
    cache.flush()


def test_a_tensor_comes_back_bit_for_bit(cache: FeatureCache) -> None:
    tensor = torch.randn(5, 7).half()

    key = cache.put(Entry("numbers", 0, "a"), tensor)
    cache.flush()

    with FeatureCache(cache.root, SPACE) as other:
        assert torch.equal(other.get(key), tensor)


@pytest.mark.parametrize("part", ["tower", "preprocessing", "layer", "computed", "dtype"])
def test_another_tower_preprocessing_layer_or_dtype_is_a_miss(part: str, cache: FeatureCache) -> None:
    put(cache, 0)
    space = replace(SPACE, **{part: "bfloat16"})

    with FeatureCache(cache.root, space) as other:
        assert (other.get(space.key("0")), other.get(SPACE.key("0"))) == (None, None)


def test_another_prompt_is_a_miss(cache: FeatureCache) -> None:
    key = cache.put(Entry("numbers", 0, "a", "what is it?"), torch.ones(3))

    assert cache.get(key) is not None
    assert cache.get(SPACE.key("a", "where is it?")) is None
    assert cache.get(SPACE.key("a")) is None


def test_changing_what_was_read_changes_nothing_stored(cache: FeatureCache) -> None:
    put(cache, 1)

    cache.get(SPACE.key("1")).zero_()

    assert torch.equal(cache.get(SPACE.key("1")), feature_writers.expected(1))


def test_what_another_process_writes_is_found(cache: FeatureCache) -> None:
    assert cache.get(SPACE.key("3")) is None
    with FeatureCache(cache.root, SPACE) as other:
        put(other, 3)
    cache.refresh()

    assert torch.equal(cache.get(SPACE.key("3")), feature_writers.expected(3))


def test_a_flipped_bit_is_a_miss_and_told(cache: FeatureCache, caplog: pytest.LogCaptureFixture) -> None:
    put(cache, 1)
    path = next(shards.find_shards(cache.root))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    assert cache.get(SPACE.key("1")) is None
    assert "other bytes than were written" in caplog.text


def test_what_half_precision_cannot_hold_is_refused(cache: FeatureCache) -> None:
    with pytest.raises(InputRefused, match="row 5: its features are not finite as float16"):
        cache.put(Entry("numbers", 5, "a"), torch.tensor([1e6]))


def test_the_limit_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPACE, rows=1, limit=15_000, keep_open=1) as cache:  # three shards of one row
        for number in range(6):
            put(cache, number)
            os.utime(
                next(p for p in shards.find_shards(tmp_path) if p.parent.name.endswith(f"_vlm{number}")), (number,) * 2
            )

        assert sum(one.size for one in evict.list_shards(tmp_path)) <= 15_000
        assert cache.get(SPACE.key("5")) is not None
        assert cache.get(SPACE.key("0")) is None


def test_a_full_cache_whose_shards_are_held_takes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with FeatureCache(tmp_path, SPACE, rows=1, limit=6_000) as cache:
        put(cache, 0)
        with file_locks.lock_shared(next(shards.find_shards(tmp_path))):
            put(cache, 1)

    assert (cache.counts.refused, len(list(shards.find_shards(tmp_path)))) == (1, 1)
    assert "what is there is in use" in caplog.text


def test_writers_killed_while_readers_read_leave_nothing_damaged(tmp_path: Path) -> None:
    tally = feature_writers.campaign(tmp_path, writers=4, kills=4, limit=600_000, seed=1, rows=300)

    assert (tally.damaged, tally.wrong_hits) == (0, 0)
    assert tally.most_bytes <= 600_000
    assert tally.rows > 20
    assert tally.hits > 20


def test_only_what_is_missing_is_computed_for_a_frozen_tower(cache: FeatureCache) -> None:
    known, new = Entry("a", 0, "known"), Entry("a", 1, "new")
    cache.put(known, torch.full((1, 3), 0.5))
    model = Mean()
    asked = [(entry, lambda: torch.ones(3, 8, 8)) for entry in (new, known, new)]

    found = lookup.features_of(asked, cache=cache, vl_model=model)

    assert model.seen == 1
    assert [one[0, 0].item() for one in found] == [torch.tensor(torch.pi).half().item(), 0.5, found[0][0, 0].item()]
