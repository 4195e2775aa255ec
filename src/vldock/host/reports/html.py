"""report.html: scores with intervals, published scores, failures, samples, passports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.matrix import find_benchmark
from vldock.host.reports import html_page, reference_scores, run_artifacts, run_summary, sample_selection
from vldock.host.reports.run_summary import CellsByKey
from vldock.host.reports.sample_selection import SampleSelection
from vldock.host.reports.score_intervals import Evidence, Gathered
from vldock.host.reports.statistics import RESAMPLES
from vldock.host.runs.events import score_text
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.record import RunRecord

TEMPLATE = "report.html.j2"
LEVELS = 10


def render(
    folder: RunFolder,
    record: RunRecord,
    cells: Sequence[Cell],
    gathered: Gathered,
    selection: SampleSelection,
    *,
    per_cell: int,
) -> str:
    """Return the page of a run; equal files give equal bytes."""
    plan, known = record.plan, run_summary.by_key(cells)
    return html_page.render(
        TEMPLATE,
        **run_summary.template_values(folder, record, cells),
        title=f"Evaluation report {folder.name}",
        rows=[_row(name, plan.models, known, gathered) for name in plan.benchmarks],
        resamples=f"{RESAMPLES:,}",
        references=reference_rows(cells, gathered),
        failures=[_failure(folder, cell) for cell in cells if cell.status != "succeeded"],
        selection=selection,
        per_cell=per_cell,
        samples_json=html_page.as_json(list(selection.samples)),
        pictures_json=html_page.as_json(dict(selection.pictures)),
        passports=run_artifacts.passports(folder.path, plan.cells),
    )


def write(
    folder: RunFolder, record: RunRecord, cells: Sequence[Cell], gathered: Gathered, *, per_cell: int
) -> SampleSelection:
    """Write report.html of a run and return the samples shown in it."""
    selection = sample_selection.choose(record.plan, cells, gathered, per_cell=per_cell)
    html_page.write(folder.page, render(folder, record, cells, gathered, selection, per_cell=per_cell))
    return selection


def _row(name: str, models: Sequence[str], cells: CellsByKey, gathered: Gathered) -> dict[str, Any]:
    benchmark = find_benchmark(name)
    metric = next((cell.metric for model in models if (cell := cells.get((model, name))) and cell.metric), "")
    found = [_cell(model, cells.get((model, name)), gathered.get((model, name))) for model in models]
    return {"benchmark": name, "kind": benchmark.kind if benchmark else "", "metric": metric, "cells": found}


def _cell(model: str, cell: Cell | None, evidence: Evidence | None) -> dict[str, Any]:
    interval = evidence.interval if evidence else None
    made = {
        "model": model,
        "text": run_summary.score_column(cell),
        "interval": interval,
        "score": cell.score if cell else None,
    }
    if cell is None or cell.status != "succeeded" or cell.score is None:
        why = (cell.error or "failed without a word") if cell else ""
        label = f"{model}: {made['text']}"
        return {
            **made,
            "look": "failed" if cell else "missing",
            "why": sample_selection.clip(why, 160),
            "title": sample_selection.clip(why, 400),
            "label": label,
        }
    level = min(LEVELS - 1, int(cell.score * LEVELS / 100))
    reason = evidence.reason if evidence else None
    why = f"{interval.text} \u00b7 n {interval.n} \u00b7 {interval.method}" if interval else f"no interval: {reason}"
    title = f"{model}, {cell.benchmark}: {cell.score:.2f} ({cell.metric}), {cell.samples} samples, {cell.seconds:.1f} s"
    return {**made, "look": f"h{level}", "why": why, "title": title, "label": f"{title}; {why}"}


def reference_rows(cells: Sequence[Cell], gathered: Gathered) -> list[dict[str, Any]]:
    """Return the published scores beside ours, as texts, in order of cells."""
    rows = []
    for cell in cells:
        evidence = gathered.get((cell.model, cell.benchmark))
        for item in reference_scores.compare_cell(cell):
            whole = evidence.interval if evidence and item.figure.metric in (None, cell.metric) else None
            texts = {
                "ours": score_text(item.ours),
                "delta": None if item.delta is None else f"{item.delta:+.1f}",
                "interval": whole.text if whole else "-",
            }
            rows.append({**asdict(item), "figure": item.figure, **texts})
    return rows


def _failure(folder: RunFolder, cell: Cell) -> dict[str, Any]:
    lines = run_artifacts.last_lines(folder.model_log(cell.model), benchmark=cell.benchmark)
    return {
        "model": cell.model,
        "benchmark": cell.benchmark,
        "error": sample_selection.clip(cell.error or "", 2000),
        "lines": lines,
    }
