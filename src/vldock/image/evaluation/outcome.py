"""Result of a cell, read back from VLMEvalKit's files and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vldock.common.errors import EvaluationFailed
from vldock.common.matrix import Benchmark
from vldock.image.evaluation.metrics import headline


@dataclass(frozen=True)
class CellResult:
    """A cell's figures as read back from its folder.

    `error`: in one line why it does not count, or None.
    """

    samples: int
    predictions: int
    metrics: dict[str, Any]
    judge: str | None
    metric: str | None
    score: float | None
    error: str | None
    findings: dict[str, int] = field(default_factory=dict)


def empty_result(error: str) -> CellResult:
    """Return the result of a cell without files."""
    return CellResult(samples=0, predictions=0, metrics={}, judge=None, metric=None, score=None, error=error)


def read(folder: Path, *, model: str, benchmark: Benchmark, samples: int | None) -> CellResult:
    """Return the result of one cell of `samples` rows (None: unknown).

    A cell counts only if every sample has an answer, VLMEvalKit reported the headline metric and a score file exists.
    """
    from vldock.image.vlmeval_hooks.run import cell_outcomes  # imports torch

    outcomes = cell_outcomes.collect(folder, [benchmark.name])
    if not outcomes:
        return empty_result("VLMEvalKit recorded nothing for this benchmark")
    outcome = outcomes[0]
    requested = outcome.samples if samples is None else samples
    metrics = _metrics(folder, benchmark.name)
    error = outcome.error or outcome.unscored
    if error is None and outcome.predictions < requested:
        error = f"{outcome.predictions} of {requested} samples have an answer"
    if error is None and not any(answer.strip() for answer in _answers(folder, model, benchmark.name)):
        error = f"all {requested} answers are empty"
    metric: str | None = None
    score: float | None = None
    if error is None:
        try:
            metric, score = headline(benchmark, metrics, samples=requested)
        except EvaluationFailed as failure:
            error = failure.message
    return CellResult(
        requested, outcome.predictions, metrics, outcome.judge, metric, score, error, dict(outcome.findings)
    )


def _metrics(folder: Path, benchmark: str) -> dict[str, Any]:
    from vlmeval.smp.status_report import load_run_status

    metrics: dict[str, Any] = load_run_status(str(folder)).get("datasets", {}).get(benchmark, {}).get("metrics") or {}
    return metrics


def _answers(folder: Path, model: str, benchmark: str) -> list[str]:
    from vlmeval.smp.file import _prediction_table, get_pred_file_path

    table = _prediction_table(get_pred_file_path(str(folder), model, benchmark))
    return [] if table is None or "prediction" not in table else list(table["prediction"].fillna("").map(str))
