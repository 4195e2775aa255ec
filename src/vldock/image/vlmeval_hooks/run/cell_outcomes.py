"""Outcome of each cell of a run.

It is read back from the files the run left on disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vldock.image.vlmeval_hooks.provenance import run_identity

# VLMEvalKit ends these with predictions and no score, on purpose.
WITHOUT_SCORE = frozenset(
    {
        "mode_infer",
        "official_submission_only_mmmu_test",
        "official_submission_only_mmt_bench",
        "evaluation_not_supported_for_dataset",
        "external_submission_required",
        "test_split_without_ground_truth",
        "mmbench_evaluation_requires_official_server",
    }
)
SCORE_FILE = re.compile(r".*_(acc|acc_all|score|rating|metrics|results?|fine|all)\.\w+")


@dataclass(frozen=True)
class CellOutcome:
    """One cell: error, primary metrics (VLMEvalKit's units), samples, predictions, judge.

    `error` is None when the cell has a trustworthy end. `samples` is the number of rows evaluated, `predictions` of
    rows answered. `unscored` is the reason for a missing metric. `findings` counts the reported rows of the table, by
    kind.
    """

    model: str
    benchmark: str
    error: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    predictions: int = 0
    judge: str | None = None
    unscored: str | None = None
    findings: Mapping[str, int] = field(default_factory=dict)


_run_dirs: list[str] = []


def forget() -> None:
    """Forget the folders of earlier runs of this process."""
    _run_dirs.clear()


def record_run(run_dir: str | Path) -> None:
    """Record a folder finished by a run of this process."""
    if str(run_dir) not in _run_dirs:
        _run_dirs.append(str(run_dir))


def collect_all(models: Iterable[str], benchmarks: Iterable[str]) -> list[CellOutcome]:
    """Return the outcome of every requested cell.

    A cell that no run recorded is a failure.
    """
    found: dict[tuple[str, str], CellOutcome] = {}
    names = list(benchmarks)
    for run_dir in _run_dirs:
        for outcome in collect(run_dir, names):
            found[outcome.model, outcome.benchmark] = outcome
    cells = [(model, benchmark) for model in models for benchmark in names]
    return [found.get(cell, CellOutcome(*cell, error="the run ended before this cell")) for cell in cells]


def collect(run_dir: str | Path, benchmarks: Iterable[str]) -> list[CellOutcome]:
    """Return one folder's outcomes from status.json, predictions and score files."""
    from vlmeval.smp.status_report import collect_run_benchmark_report, load_run_status

    status = load_run_status(str(run_dir))
    model, datasets = str(status.get("model_name")), status.get("datasets", {})
    names = list(benchmarks)
    rows = {row["benchmark"]: row for row in collect_run_benchmark_report(run_dir, only=names)}
    return [_outcome(Path(run_dir), model, name, datasets[name], rows[name]) for name in names if name in rows]


def _outcome(
    run_dir: Path, model: str, benchmark: str, status: Mapping[str, Any], row: Mapping[str, Any]
) -> CellOutcome:
    record = run_identity.read(run_identity.path_of(run_dir, model, benchmark)) or {}
    skip = row["skip_reason"]
    outcome = CellOutcome(
        model=model,
        benchmark=benchmark,
        metrics=_metrics(row),
        samples=int(record.get("samples") or row["infer_total"]),
        predictions=row["infer_total"] - row["infer_failed"],
        judge=status.get("judge_model") or None,
        unscored=skip if skip in WITHOUT_SCORE else None,
        findings=dict(record.get("findings") or {}),
    )
    error = row["eval_error"] or _fault(run_dir, outcome, skip, status, failed=row["infer_failed"])
    return CellOutcome(**{**outcome.__dict__, "error": error, "metrics": {} if error else outcome.metrics})


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    names, values = row["primary_metric"], row["primary_metric_value"]
    if isinstance(names, list):
        return dict(values)
    return {} if names is None else {str(names): values}


def _first_failed(run_dir: Path, outcome: CellOutcome) -> str:
    """Return the cause of the first failed prediction if it carries one."""
    from vlmeval.smp.file import INFER_FAIL_MSG, _prediction_table, get_pred_file_path

    table = _prediction_table(get_pred_file_path(str(run_dir), outcome.model, outcome.benchmark))
    said = [] if table is None or "prediction" not in table else [str(one) for one in table["prediction"]]
    first = next((one for one in said if one.startswith(f"{INFER_FAIL_MSG}: sample ")), "")
    return first.replace(INFER_FAIL_MSG, "", 1)


def _fault(
    run_dir: Path, outcome: CellOutcome, skip: str | None, status: Mapping[str, Any], *, failed: int
) -> str | None:
    """Return why a cell is no success, or None.

    Applies to a cell without its own error.
    """
    if status.get("status") != "done":
        return f"the run ended in state {status.get('status')!r}"
    if skip is not None and skip not in WITHOUT_SCORE:
        return skip.replace("_", " ")
    if failed:
        return f"{failed} of {outcome.samples} predictions failed{_first_failed(run_dir, outcome)}"
    if outcome.predictions < outcome.samples or not outcome.samples:
        return f"{outcome.predictions} predictions for {outcome.samples} samples"
    if outcome.unscored:
        return None
    if not outcome.metrics:
        return "the evaluation reported no metric"
    files = (path.name for path in run_dir.glob(f"{outcome.model}_{outcome.benchmark}_*"))
    return None if any(SCORE_FILE.fullmatch(name) for name in files) else "the evaluation wrote no score file"
