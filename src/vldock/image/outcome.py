"""What VLMEvalKit left on disk after a cell, and whether it can be trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import EvaluationFailed
from vldock.common.matrix import Benchmark
from vldock.common.metrics import headline

FAILED_ANSWER = "Failed to obtain answer"
SCORE_FILES = ("*_acc.*", "*_score.*", "*_acc_*.*")
SKIPPED = {
    "invalid_dataset": "VLMEvalKit could not build the benchmark",
    "evaluate_returned_none": "the evaluator returned nothing",
}


@dataclass(frozen=True)
class Outcome:
    """A cell's figures as read back from its folder."""

    predictions: int
    metrics: dict[str, Any]
    judge: str | None
    metric: str | None
    score: float | None
    error: str | None


def read(folder: Path, *, model: str, benchmark: Benchmark, samples: int) -> Outcome:
    """Return the outcome of one cell; `error` says in one line why it does not count, or is None.

    A cell counts only if every sample has an answer, VLMEvalKit reported the headline metric, and a score file exists.
    """
    entry = _status(folder).get("datasets", {}).get(benchmark.name, {})
    metrics = entry.get("metrics") or {}
    answers = _predictions(folder, model=model, benchmark=benchmark.name)
    answered = sum(FAILED_ANSWER not in answer for answer in answers)
    error = _reported_error(entry) or _doubt(folder, model, benchmark.name, answers, answered, samples)
    metric: str | None = None
    score: float | None = None
    if error is None:
        try:
            metric, score = headline(benchmark, metrics, samples=samples)
        except EvaluationFailed as failure:
            error = one_line(failure.message)
    return Outcome(answered, metrics, entry.get("judge_model") or None, metric, score, error)


def one_line(text: object) -> str:
    """Return the first line of a message that says something, at most 300 characters."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return (lines[0] if lines else "no message")[:300]


def _status(folder: Path) -> dict[str, Any]:
    path = folder / "status.json"
    status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return status


def _reported_error(entry: dict[str, Any]) -> str | None:
    if not entry:
        return "VLMEvalKit recorded nothing for this benchmark"
    if entry.get("error_message"):
        return one_line(entry["error_message"])
    if reason := entry.get("skip_reason"):
        return SKIPPED.get(reason, f"VLMEvalKit skipped it: {reason}")
    return None if entry.get("metrics") else "VLMEvalKit reported no metrics"


def _doubt(folder: Path, model: str, benchmark: str, answers: list[str], answered: int, samples: int) -> str | None:
    """Say why figures that were reported are not to be believed."""
    if samples < 1 or answered < samples:
        return f"{answered} of {samples} samples have an answer"
    if not any(answer.strip() for answer in answers):
        return f"all {samples} answers are empty"
    scored = (path for pattern in SCORE_FILES for path in folder.glob(f"{model}_{benchmark}{pattern}"))
    return None if any(path.stat().st_size for path in scored) else "no score file was written"


def _predictions(folder: Path, *, model: str, benchmark: str) -> list[str]:
    """Return the answers of VLMEvalKit's prediction file, in any of the formats it writes."""
    from vlmeval.smp.file import _prediction_table

    for suffix in ("xlsx", "tsv", "json"):
        path = folder / f"{model}_{benchmark}.{suffix}"
        if path.is_file():
            table = _prediction_table(str(path))
            return [] if table is None or "prediction" not in table else list(table["prediction"].fillna("").map(str))
    return []
