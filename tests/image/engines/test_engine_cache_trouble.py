"""Faults of the feature cache behind the batched engine: none ends a run or moves an answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_cache_fixture
import pytest
import tiny_wrapper
from engine_cache_fixture import MARKS, PICTURES, Found, run

from vldock.common.inference_options import BATCHED
from vldock.image.answering.types import Question
from vldock.image.engines import disk_features
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore
from vldock.image.features import shards
from vldock.image.features.cache import FeatureCache

pytestmark = MARKS


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """VLMEvalKit's LLaVA wrapper with a tiny model, its tower as its files have it."""
    return engine_cache_fixture.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    """Questions of every shape."""
    return tiny_wrapper.questions(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def expected(wrapper: Any, asked: list[Question]) -> Found:
    """What VLMEvalKit's own loop answers."""
    return tiny_wrapper.stock(wrapper, asked)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Every test is a process of its own, as far as the cache can tell."""
    yield
    disk_features._opened.cache_clear()


def test_damaged_rows_are_computed_again(wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path) -> None:
    run(wrapper, asked, tmp_path)
    (path,) = shards.find_shards(tmp_path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    found, seen = run(wrapper, asked, tmp_path)

    assert found == expected
    assert (seen["read"], seen["computed"]) == (PICTURES - 1, 1)


def test_a_shard_that_is_cut_short_is_computed_again(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    run(wrapper, asked, tmp_path)
    (path,) = shards.find_shards(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])

    found, seen = run(wrapper, asked, tmp_path)

    assert found == expected
    assert seen["computed"] == PICTURES


def test_a_cache_that_cannot_be_written_is_told_once_and_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    found, seen = run(wrapper, asked, tmp_path / "file" / "features")

    assert found == expected
    assert seen["computed"] == PICTURES
    assert capsys.readouterr().out.count("read but no more written") == 1


@pytest.mark.parametrize("call", ["get", "_store"])
def test_an_error_of_the_disk_is_told_once_and_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def broken(*_: Any) -> None:
        raise OSError(28 if call == "_store" else 5, "the disk")

    run(wrapper, asked[:4], tmp_path)
    monkeypatch.setattr(FeatureCache, call, broken)

    found, _ = run(wrapper, asked, tmp_path)

    assert found == expected
    assert capsys.readouterr().out.count(f"feature cache {tmp_path}: ") == 1


def test_a_full_cache_is_told_once_and_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, seen = run(wrapper, asked, tmp_path, VLDOCK_FEATURE_CACHE_LIMIT="0.0000001")

    assert found == expected
    assert seen["computed"] == PICTURES
    assert capsys.readouterr().out.count("no room below the limit of 1e-07 GB") == 1
    assert list(shards.find_shards(tmp_path)) == []


def test_a_cache_removed_while_it_is_read_costs_no_answer(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    run(wrapper, asked, tmp_path)
    values = {"VLDOCK_ENGINE": BATCHED, "VLDOCK_FEATURE_CACHE": "1", "VLDOCK_FEATURES": str(tmp_path)}
    disk_features._opened.cache_clear()
    engine = BatchedEngine(
        wrapper, batch_size=3, features=FeatureStore(1), disk=disk_features.open_for(wrapper, values)
    )
    shutil.rmtree(tmp_path)

    assert {a.index: (a.text, a.note["answer"]) for a in engine.answers(asked)} == expected


def test_what_a_run_wrote_may_be_evicted_when_it_has_ended(wrapper: Any, asked: list[Question], tmp_path: Path) -> None:
    from vldock.image.features import evict

    run(wrapper, asked, tmp_path)
    run(wrapper, asked, tmp_path)

    assert len(evict.execute(evict.plan(tmp_path, limit=0))) == 1
