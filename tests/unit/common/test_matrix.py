"""The evaluation matrix as declared."""

from __future__ import annotations

import re

import pytest

from vldock.common import matrix


def test_two_models_by_twenty_benchmarks_are_forty_cells() -> None:
    models = [model.name for model in matrix.matrix_models()]
    benchmarks = [benchmark.name for benchmark in matrix.matrix_benchmarks()]

    assert len(matrix.cells(models, benchmarks)) == 40


def test_the_four_extra_benchmarks_make_it_forty_eight() -> None:
    models = [model.name for model in matrix.matrix_models()]
    benchmarks = [benchmark.name for benchmark in matrix.matrix_benchmarks(extra=True)]

    assert len(matrix.cells(models, benchmarks)) == 48


def test_cells_finish_one_model_before_the_next() -> None:
    assert matrix.cells(["a", "b"], ["x", "y"]) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]


def test_names_are_unique_and_checksums_well_formed() -> None:
    names = [benchmark.name for benchmark in matrix.BENCHMARKS]

    assert len(set(names)) == len(names) == 24
    assert all(re.fullmatch("[0-9a-f]{32}", benchmark.md5) for benchmark in matrix.BENCHMARKS)
    assert len({model.name for model in matrix.MODELS}) == 7


def test_every_model_has_a_stand_in() -> None:
    assert all(model.standin for model in matrix.MODELS)


def test_seven_models_by_twenty_benchmarks_are_a_hundred_and_forty_cells() -> None:
    models = [model.name for model in matrix.MODELS]
    benchmarks = [benchmark.name for benchmark in matrix.matrix_benchmarks()]

    assert len(matrix.cells(models, benchmarks)) == 140


def test_the_other_repositories_of_a_model_are_its_tower_and_its_tokenizer() -> None:
    needs = {model.name: model.needs for model in matrix.MODELS}

    assert needs["llava_v1.5_7b"] == ("openai/clip-vit-large-patch14-336",)
    assert needs["cogvlm-chat"] == ("lmsys/vicuna-7b-v1.5",)
    assert needs["InternVL2-2B"] == ()


def test_weights_in_float32_take_twice_the_memory() -> None:
    for model in matrix.MODELS:
        assert model.cpu_memory == pytest.approx(model.gpu_memory + model.gigabytes)


def test_an_undeclared_name_is_none() -> None:
    assert matrix.find_model("llava") is None
    assert matrix.find_benchmark("pope") is None
