"""A plan is chosen by name, compared by its decisive values, and judges cells."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.builders import a_cell, a_plan

from vldock.common import matrix
from vldock.common.errors import UsageError
from vldock.host.runs.plan import RunPlan, choose_benchmarks, choose_models, why_not_success


def test_the_default_is_the_matrix_of_forty_cells() -> None:
    plan = a_plan(models=choose_models(None, standin=True), benchmarks=choose_benchmarks("all"))

    assert len(plan.cells) == 40


def test_all24_takes_it_to_forty_eight() -> None:
    assert len(a_plan(benchmarks=choose_benchmarks("all24")).cells) == 48


def test_a_misspelt_benchmark_is_refused_with_the_right_one() -> None:
    with pytest.raises(UsageError, match="unknown benchmark: PPOE") as caught:
        choose_benchmarks("MMStar,PPOE")

    assert caught.value.hint == "did you mean POPE?"


def test_all_models_take_it_to_a_hundred_and_forty() -> None:
    plan = a_plan(models=choose_models("all", standin=True), benchmarks=choose_benchmarks("all"))

    assert len(plan.cells) == 140


def test_a_model_without_a_stand_in_is_refused_when_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "MODELS", tuple(replace(model, standin=False) for model in matrix.MODELS))

    assert choose_models("InternVL2-2B", standin=False) == ("InternVL2-2B",)
    with pytest.raises(UsageError, match="no stand-in exists for InternVL2-2B"):
        choose_models("InternVL2-2B", standin=True)


def test_a_plan_survives_being_written_down() -> None:
    plan = a_plan(data="/data", network="none")

    assert RunPlan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"samples": 20}, "samples"),
        ({"image_id": "sha256:2"}, "image_id"),
        ({"gpus": "all"}, "gpus"),
        ({"standin": False}, "standin"),
        ({"data": "/other"}, "data"),
        ({"engine": "batched"}, "engine"),
        ({"batch_size": 8}, "batch_size"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_decides_a_score_makes_another_plan(change: dict[str, object], name: str) -> None:
    assert [line.split(":")[0] for line in a_plan(**change).differences(a_plan())] == [name]


@pytest.mark.parametrize(
    "change",
    [
        {"user": "1:1"},
        {"timeout": 1.0},
        {"network": "none"},
        {"image": "same:id"},
        {"read_only_inputs": True},
        {"feature_cache": True},
    ],
)
def test_what_decides_no_score_does_not(change: dict[str, object]) -> None:
    assert a_plan(**change).differences(a_plan()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "failed", "error": "CUDA out of memory"}, "CUDA out of memory"),
        ({"predictions": 9}, "9 of 10 samples have a prediction"),
        ({"samples": 0, "predictions": 0}, "0 of 0 samples have a prediction"),
        ({"score": None}, "there is no score"),
        ({"limit": None}, "made with a limit of None, not 10"),
        ({"standin": False}, "not made by the stand-in that was asked for"),
    ],
    ids=["failed", "a sample short", "no samples", "no score", "another limit", "real weights"],
)
def test_a_record_that_does_not_keep_the_plan_is_no_success(change: dict[str, object], reason: str) -> None:
    assert why_not_success(a_cell(**change), a_plan()) == reason


def test_a_stand_ins_score_is_never_taken_for_a_models() -> None:
    assert why_not_success(a_cell(), a_plan(standin=False)) == "made by a STAND-IN"
