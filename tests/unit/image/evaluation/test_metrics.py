"""Headline score of 0-100 from VLMEvalKit's metrics."""

from __future__ import annotations

import pytest

from vldock.common.errors import EvaluationFailed
from vldock.common.matrix import find_benchmark
from vldock.image.evaluation.metrics import headline

# Metrics as status.json holds them, copied from runs of ms-vlmeval 0.0.20.
SEEN = [
    ("AI2D_TEST", {"split=none|Overall": 0.6, "split=none|c": 0.1}, "split=none|Overall", 60.0),
    ("MMBench_DEV_EN", {"split=dev|Overall": 0.6, "split=dev|l": 0.9}, "split=dev|Overall", 60.0),
    ("MMMU_DEV_VAL", {"split=dev|Overall": 0.9, "split=validation|Overall": 0.4}, "split=validation|Overall", 40.0),
    ("MMStar", {"split=mini|Overall": 0.5}, "split=mini|Overall", 50.0),
    ("TextVQA_VAL", {"Overall": 58.2}, "Overall", 58.2),
    ("ChartQA_TEST", {"test_human": 10.0, "Overall": 20.0}, "Overall", 20.0),
    ("OCRBench", {"Text Recognition": 2, "Final Score": 3, "Final Score Norm": 0.3}, "Final Score", 60.0),
    ("POPE", {"split=Overall|Overall": 75.0, "split=Overall|acc": 60.0}, "split=Overall|Overall", 75.0),
    ("HallusionBench", {"split=Overall|aAcc": 48.3, "split=Overall|fAcc": 19.9}, "split=Overall|aAcc", 48.3),
    ("MME", {"perception": 300.0, "reasoning": 100.0, "OCR": 200.0, "count": 100.0, "code_reasoning": 100.0},
     "perception+reasoning", 66.6667),
    ("NaturalBenchDataset", {"Q_Acc": 0.5, "I_Acc": 0.4, "Acc": 0.75, "G_Acc": 0.1}, "Acc", 75.0),
    ("CCOCR_MultiLanOcr_Korean", {"lan_ocr": 0.25, "total": 0.25}, "lan_ocr", 25.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "metrics", "metric", "score"), SEEN, ids=[row[0] for row in SEEN])
def test_the_headline_is_found_and_scaled(name: str, metrics: dict[str, float], metric: str, score: float) -> None:
    benchmark = find_benchmark(name)
    assert benchmark is not None

    assert headline(benchmark, metrics, samples=5) == (metric, score)


def test_an_evaluator_that_failed_in_silence_is_no_score_of_zero() -> None:
    """CC-OCR prints that it failed and returns a total of 0 when its own import breaks."""
    benchmark = find_benchmark("CCOCR_MultiLanOcr_Korean")
    assert benchmark is not None

    with pytest.raises(EvaluationFailed, match="reported no lan_ocr"):
        headline(benchmark, {"total": 0}, samples=5)


@pytest.mark.parametrize("metrics", [{}, {"OCR": 200.0}, {"perception": 1.0, "reasoning": 0.0}])
def test_mme_without_its_categories_is_refused(metrics: dict[str, float]) -> None:
    benchmark = find_benchmark("MME")
    assert benchmark is not None

    with pytest.raises(EvaluationFailed):
        headline(benchmark, metrics, samples=5)


def test_a_fraction_that_turns_out_to_be_a_percentage_is_refused() -> None:
    benchmark = find_benchmark("MMStar")
    assert benchmark is not None

    with pytest.raises(EvaluationFailed, match="scale of 0-100"):
        headline(benchmark, {"split=val|Overall": 60.0}, samples=5)


def test_rounding_above_a_hundred_is_a_hundred() -> None:
    benchmark = find_benchmark("POPE")
    assert benchmark is not None

    assert headline(benchmark, {"split=Overall|Overall": 100.0000000001}, samples=5)[1] == 100.0
