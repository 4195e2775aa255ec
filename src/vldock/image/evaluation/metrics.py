"""Headline score of a benchmark on 0-100, from the metrics VLMEvalKit reports."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from vldock.common.errors import EvaluationFailed
from vldock.common.matrix import Benchmark

MME_POINTS = 200.0  # a category's accuracy plus its accuracy over both questions of an image, each 0-100


def headline(benchmark: Benchmark, metrics: Mapping[str, Any], *, samples: int) -> tuple[str, float]:
    """Return the name of the headline metric and its value on 0-100.

    `metrics` is VLMEvalKit's flat mapping (status.json, datasets[...].metrics), `samples` the rows evaluated.
    Raises EvaluationFailed when the headline is missing or out of range: an evaluator that failed in silence
    (CC-OCR reports a total of 0 when its own import fails) must not look like a score of 0.
    """
    if benchmark.scale == "points":
        name, score = _points(benchmark, metrics)
    else:
        name = _find(benchmark, metrics)
        score = float(metrics[name]) * _factor(benchmark, samples)
    if not -1e-6 <= score <= 100 + 1e-6:
        raise EvaluationFailed(
            f"{benchmark.name}: {name} is {score:.4g} on a scale of 0-100",
            expected=f"a {benchmark.scale} metric over {samples} samples",
        )
    return name, round(min(max(score, 0.0), 100.0), 4)


def _find(benchmark: Benchmark, metrics: Mapping[str, Any]) -> str:
    for pattern in benchmark.headline:
        for name in sorted(metrics):
            if fnmatchcase(name, pattern):
                return name
    raise EvaluationFailed(
        f"{benchmark.name}: VLMEvalKit reported no {benchmark.headline[0]}",
        expected=f"one of {', '.join(benchmark.headline)} among: {', '.join(sorted(metrics)) or 'nothing'}",
    )


def _factor(benchmark: Benchmark, samples: int) -> float:
    if benchmark.scale == "percent":
        return 1.0
    return 100.0 / (max(samples, 1) if benchmark.scale == "count" else 1)


def _points(benchmark: Benchmark, metrics: Mapping[str, Any]) -> tuple[str, float]:
    """Return MME's score over the super-categories.

    Their sum, as a share of the evaluated categories' maximum points.
    """
    missing = [name for name in benchmark.headline if name not in metrics]
    categories = [name for name in metrics if name not in benchmark.headline]
    if missing or not categories:
        raise EvaluationFailed(f"{benchmark.name}: VLMEvalKit reported no {', '.join(missing) or 'category'}")
    points = sum(float(metrics[name]) for name in benchmark.headline)
    return "+".join(benchmark.headline), 100.0 * points / (MME_POINTS * len(categories))
