"""Published scores: declared once, with a source, for models and benchmarks that exist."""

from __future__ import annotations

import pytest
from support.builders import a_cell

from vldock.common.matrix import find_benchmark, find_model
from vldock.host.build import generate
from vldock.host.reports import reference_scores


def test_every_figure_is_of_a_known_model_and_benchmark_and_has_a_source() -> None:
    for figure in reference_scores.load_figures():
        assert find_model(figure.model)
        assert find_benchmark(figure.benchmark)
        assert 0 < figure.value < 100
        assert figure.source
        assert figure.protocol


def test_every_source_is_used() -> None:
    raw = reference_scores.load_document()

    assert {item["source"] for item in raw["figures"]} == set(raw["sources"])


def test_the_page_in_docs_is_what_is_declared() -> None:
    assert generate.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("cell", "delta", "caveat"),
    [
        ({"score": 62.0}, -0.8, None),
        ({"score": 62.0, "limit": 10}, -0.8, "ours is of the first 10 samples only"),
        ({"score": 62.0, "judge": "gpt-4o-mini"}, None, "another judge"),
        ({"score": 62.0, "standin": True}, None, "STAND-IN: not this model"),
        ({"score": None, "status": "failed"}, None, "no score of ours"),
    ],
    ids=["whole", "limited", "judge", "stand-in", "failed"],
)
def test_a_difference_is_taken_only_where_it_means_something(
    cell: dict[str, object], delta: float | None, caveat: str | None
) -> None:
    figures = reference_scores.compare_cell(
        a_cell(benchmark="MMBench_DEV_EN", **{"standin": False, "limit": None, **cell})
    )

    exact = figures[0]
    assert exact.figure.judge == "exact_matching"
    assert exact.delta == (None if delta is None else pytest.approx(delta))
    assert exact.caveat == caveat


def test_a_figure_of_another_metric_is_set_beside_that_metric() -> None:
    metrics = {"split=Overall|aAcc": 50.0, "split=Overall|fAcc": 21.0, "split=Overall|qAcc": 15.0}

    figures = reference_scores.compare_cell(a_cell(benchmark="HallusionBench", standin=False, metrics=metrics))

    assert [item.ours for item in figures] == [50.0, 21.0, 15.0]
