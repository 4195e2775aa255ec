"""Ranks of one run: their GPUs, and answers left by another number of them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from vldock.common.errors import EvaluationFailed
from vldock.image.vlmeval_hooks.process import ranks

MODEL = "llava_v1.5_7b"


def test_answers_of_another_number_of_ranks_are_brought_together(tmp_path: Path) -> None:
    for name, answers in {"02_POPE.pkl": {1: "a", 3: "c"}, "12_POPE.pkl": {2: "b"}, "01_POPE.pkl": {5: "e"}}.items():
        (tmp_path / name).write_bytes(pickle.dumps(answers))

    ranks.gather_answers(tmp_path, MODEL, "POPE")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["01_POPE.pkl", f"{MODEL}_POPE_PREV.pkl"]
    assert pickle.loads((tmp_path / f"{MODEL}_POPE_PREV.pkl").read_bytes()) == {1: "a", 2: "b", 3: "c"}


@pytest.mark.parametrize(
    ("gpus", "mine", "how"),
    [
        (["0", "1", "2", "3"], ["2", "3"], "own"),
        (["GPU-a", "GPU-b"], ["GPU-b"], "own"),
        (["0"], ["0"], "shared"),
        ([], [], "none"),
    ],
    ids=["two each", "one each", "too few", "none"],
)
def test_the_second_of_two_ranks_has_its_share_of_the_gpus(gpus: list[str], mine: list[str], how: str) -> None:
    assert ranks.share_gpus(gpus, 1, 2) == (mine, how)


def test_gpus_are_shared_out_once() -> None:
    environ = {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,5"}

    ranks.assign_gpus(environ)
    ranks.assign_gpus(environ)

    assert (environ["CUDA_VISIBLE_DEVICES"], environ[ranks.PLACED]) == ("5", "own")


def test_no_gpu_is_named_where_none_may_be_seen() -> None:
    environ = {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0", "CUDA_VISIBLE_DEVICES": "-1"}

    ranks.assign_gpus(environ)

    assert (environ["CUDA_VISIBLE_DEVICES"], environ[ranks.PLACED]) == ("-1", "none")


@pytest.mark.parametrize("stage", [ranks.mark_diverged, ranks.mark_joined], ids=["before", "after"])
def test_a_failure_ends_a_rank_only_until_the_answers_are_together(
    stage: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(ranks._state, "together", True)
    assert callable(stage)
    stage()

    ended = False
    try:
        ranks.raise_if_diverged(ValueError("no such row"))
    except EvaluationFailed as error:
        ended = "rank 0 of 2: ValueError: no such row" in error.message
    assert ended == (stage is ranks.mark_diverged)
