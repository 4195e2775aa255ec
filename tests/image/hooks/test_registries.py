"""Models and benchmarks declared by vldock are known to VLMEvalKit, files and kinds included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vldock.common.matrix import BENCHMARKS, MODELS, Benchmark, Model
from vldock.common.names import spellings, test_splits


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_vlmevalkit_knows_the_model_and_loads_it_from_the_declared_repository(model: Model) -> None:
    from vlmeval.config import supported_VLM

    assert supported_VLM[model.name].keywords["model_path"] == model.repo


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_vlmevalkit_knows_the_benchmark_and_its_checksum_and_kind(benchmark: Benchmark) -> None:
    from vlmeval.dataset import DATASET_CLASSES

    known = next(cls for cls in DATASET_CLASSES if benchmark.name in cls.supported_datasets())  # as build_dataset does

    assert known.DATASET_MD5[benchmark.name] == benchmark.md5
    assert benchmark.kind == known.TYPE


def test_the_matrix_is_two_models_by_twenty_benchmarks_and_four_extras() -> None:
    from vldock.common.matrix import matrix_benchmarks, matrix_models

    assert len(matrix_models()) * len(matrix_benchmarks()) == 40
    assert len(matrix_models()) * len(matrix_benchmarks(extra=True)) == 48


def test_vlmevalkit_registers_all_its_models() -> None:
    from vlmeval.config import supported_VLM

    assert len(supported_VLM) == 545


def test_no_name_of_vlmevalkits_is_replaced_but_mmbench() -> None:
    from vlmeval.config import supported_VLM
    from vlmeval.dataset import SUPPORTED_DATASETS
    from vlmeval.dataset.video_dataset_config import supported_video_datasets

    benchmarks = {*SUPPORTED_DATASETS, *supported_video_datasets}

    assert {name for name in benchmarks if spellings.resolve_benchmark(name) != name} == test_splits.REPLACED
    assert {name for name in supported_VLM if spellings.resolve_model(name) != name} == set()
    assert benchmarks >= spellings.OTHERS


def test_the_unscored_are_those_run_py_does_not_evaluate() -> None:
    from vlmeval import run
    from vlmeval.dataset import SUPPORTED_DATASETS

    source = Path(run.__file__).read_text(encoding="utf-8")
    branches = source[source.index("# Prepare Submission Files") : source.index("mmbench_evaluation_requires")]
    named = {text for text in re.findall(r"'([^' ]+)'", branches) if text in SUPPORTED_DATASETS}

    assert named | {"MMT-Bench_ALL_MI"} == set(test_splits.UNSCORED)  # run.py asks for a part of that name
    assert {other for other in test_splits.UNSCORED.values() if other} <= set(SUPPORTED_DATASETS)
