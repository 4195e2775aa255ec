"""Values shared by the Markdown and the HTML report of a run.

Called by markdown and html, whose templates take `template_values` and add their own.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.inference_options import STOCK
from vldock.common.prompt_style import UPSTREAM
from vldock.common.tables.problems import REMARKS
from vldock.host.runs.devices import Placement
from vldock.host.runs.events import score_text
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan, choose_benchmarks
from vldock.host.runs.record import RunRecord
from vldock.host.util.console import duration_text

CellsByKey = Mapping[tuple[str, str], Cell]


def by_key(cells: Sequence[Cell]) -> dict[tuple[str, str], Cell]:
    """Return {(model, benchmark): cell}."""
    return {(cell.model, cell.benchmark): cell for cell in cells}


def template_values(folder: RunFolder, record: RunRecord, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the values of both templates.

    A cell of the plan without a record is `missing`.
    """
    plan, known = record.plan, by_key(cells)
    succeeded = [cell for cell in cells if cell.status == "succeeded"]
    return {
        "record": record,
        "plan": plan,
        "facts": record.facts,
        "total": len(plan.cells),
        "succeeded": len(succeeded),
        "duration": duration_text(record.seconds),
        "judges": distinct(cell.judge for cell in succeeded),
        "devices": distinct(map(device_text, cells)),
        "means": [mean_text(known, model, plan) for model in plan.models],
        "missing": [key for key in plan.cells if key not in known],
        "findings": finding_counts(cells),
        "command": command(plan, record.where),
        "resume": f"vldock matrix --resume {folder.path}",
    }


def score_column(cell: Cell | None) -> str:
    """Return a cell's text in the score table."""
    if cell is None:
        return "not run"
    return score_text(cell.score) if cell.status == "succeeded" else "FAILED"


def device_text(cell: Cell) -> str:
    """Return a cell's device: CPU, or the GPU by name."""
    if cell.device == "unknown":
        return "unknown"
    where = "CPU" if cell.device == "cpu" else f"GPU {cell.device}"
    return f"{where}, {cell.dtype}, attention {cell.attention}"


def mean_text(cells: CellsByKey, model: str, plan: RunPlan) -> str:
    """Return a model's mean score over its benchmarks.

    It is a dash when one is missing.
    """
    scores = [cell.score for name in plan.benchmarks if (cell := cells.get((model, name))) and cell.score is not None]
    return score_text(sum(scores) / len(scores)) if scores and len(scores) == len(plan.benchmarks) else "-"


def distinct(values: Iterable[str | None]) -> list[str]:
    """Return the distinct known values, in order of appearance."""
    return [value for value in dict.fromkeys(values) if value and not value.startswith("unknown")]


def finding_counts(cells: Sequence[Cell]) -> list[tuple[str, str, int]]:
    """Return (cell, kind of remark on its table, rows) of each kind."""
    return [
        (f"{cell.model} x {cell.benchmark}", REMARKS[kind][0] if kind in REMARKS else kind, count)
        for cell in cells
        for kind, count in cell.findings.items()
    ]


def command(plan: RunPlan, where: Placement | None = None) -> str:
    """Return the command that repeats this plan on as many workers."""
    words = ["vldock", "matrix", "--fresh", "--image", plan.image]
    words += ["--models", ",".join(plan.models), "--benchmarks", benchmarks_option(plan.benchmarks)]
    words += ["--samples", "all" if plan.samples is None else str(plan.samples), "--gpus", plan.gpus]
    for option, value in (
        ("--data", plan.data),
        ("--cache", plan.cache),
        ("--env-file", plan.env_file),
        ("--network", plan.network),
    ):
        words += [option, value] if value else []
    words += ["--read-only-inputs"] if plan.read_only_inputs else []
    words += ["--prompt", plan.prompt] if plan.prompt != UPSTREAM else []
    words += ["--engine", plan.engine, "--batch-size", str(plan.batch_size)] if plan.engine != STOCK else []
    words += ["--feature-cache"] if plan.feature_cache else []
    words += ["--standin"] if plan.standin else []
    return shlex.join([*words, *_placement_options(where)])


def _placement_options(where: Placement | None) -> list[str]:
    if where is None:
        return []
    words = ["--workers", str(where.workers)] if where.workers > 1 else []
    words += [] if where.spread else ["--no-spread"]
    return words + (["--data-parallel", where.data_parallel] if where.data_parallel != "auto" else [])


def benchmarks_option(names: Sequence[str]) -> str:
    """Return the shortest --benchmarks value of these names."""
    for word in ("all", "all24"):
        if choose_benchmarks(word) == tuple(names):
            return word
    return ",".join(names)
