"""EVALUATION_REPORT.md: results of a run, its inputs, and how to reproduce it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vldock.common import passport
from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.common.matrix import find_benchmark
from vldock.host.reports import html_page, reference_scores, run_summary
from vldock.host.reports.run_summary import CellsByKey
from vldock.host.reports.score_intervals import Evidence, Gathered
from vldock.host.runs.events import score_text
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan
from vldock.host.runs.record import RunRecord
from vldock.host.util.console import duration_text

TEMPLATE = "EVALUATION_REPORT.md.j2"


def render(folder: RunFolder, record: RunRecord, cells: Sequence[Cell], gathered: Gathered | None = None) -> str:
    """Return the report of a run as Markdown.

    A cell of the plan without a record is shown as not run. `gathered` is the evidence of each score
    (score_intervals.gather); without it the intervals are dashes.
    """
    plan, known = record.plan, run_summary.by_key(cells)
    values = run_summary.template_values(folder, record, cells)
    return (
        html_page.environment(autoescape=False)
        .get_template(TEMPLATE)
        .render(
            values,
            name=folder.name,
            rate=f"{100 * values['succeeded'] / max(1, values['total']):.1f}",
            rows=[[name, *_columns(name, plan.models, known, gathered or {})] for name in plan.benchmarks],
            kinds={name: found.kind for name in plan.benchmarks if (found := find_benchmark(name))},
            failures=[cell for cell in cells if cell.status != "succeeded"],
            stints=devices_table(record),
            metrics={cell.benchmark: cell.metric for cell in cells if cell.metric},
            references=[] if plan.standin else reference_rows(cells),
            cut=cut_prompts(folder, plan),
            readings=text_readings(folder, plan),
            line=lambda value: " ".join(str(value).split()).replace("|", "\\|"),
        )
    )


def devices_table(record: RunRecord) -> list[tuple[str, int, int, str, str, list[str]]]:
    """Return the row of each device: containers, cells, busy time, share, failures.

    The share is of the run's wall time. Empty for a run on one device.
    """
    rows = []
    for name in dict.fromkeys(job.device for job in record.stints):
        mine = [job for job in record.stints if job.device == name]
        busy = sum(job.seconds for job in mine)
        share = f"{100 * busy / record.seconds:.0f} %" if record.seconds else "-"
        wrong = [job.end for job in mine if job.end != "done"]
        rows.append((name, len(mine), sum(len(job.cells) for job in mine), duration_text(busy), share, wrong))
    return sorted(rows) if len(rows) > 1 else []


def cut_prompts(folder: RunFolder, plan: RunPlan) -> list[tuple[str, str, int]]:
    """Return (model, benchmark, prompts cut by LLaVA) of each cell with such prompts.

    The passport has them.
    """
    counts = ((*key, len(_in_passport(folder, key, "prompts", "cut") or ())) for key in plan.cells)
    return [row for row in counts if row[2]]


def text_readings(folder: RunFolder, plan: RunPlan) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (model, benchmark, reading) of cells dependent on text parsing.

    The passport has it.
    """
    found = ((*key, _in_passport(folder, key, "data", "text")) for key in plan.cells)
    return [
        (model, benchmark, reading)
        for model, benchmark, reading in found
        if reading and (reading["rows_with_missing_words"] or reading["rows_respelled"])
    ]


def _in_passport(folder: RunFolder, key: tuple[str, str], section: str, name: str) -> Any:
    """Return a value of a cell's passport, or None.

    The page shows which passport cannot be read.
    """
    try:
        return passport.load(folder.cell(*key) / passport.FILE)[section][name]
    except (InputRefused, KeyError):
        return None


def _columns(name: str, models: Sequence[str], cells: CellsByKey, gathered: Gathered) -> list[str]:
    """Return score, interval and n of each model."""
    return [
        value
        for model in models
        for value in (run_summary.score_column(cells.get((model, name))), *_interval(gathered.get((model, name))))
    ]


def _interval(evidence: Evidence | None) -> tuple[str, str]:
    found = evidence.interval if evidence else None
    return (found.text, str(found.n)) if found else ("-", "-")


def reference_rows(cells: Sequence[Cell]) -> list[tuple[str, str, str, str, str, str]]:
    """Return the published scores of the cells.

    Columns: benchmark, model, ours, theirs, difference, protocol and source.
    """
    rows = []
    for cell in cells:
        for item in reference_scores.compare_cell(cell):
            delta = "-" if item.delta is None else f"{item.delta:+.1f}"
            words = f"{delta} ({item.caveat})" if item.caveat else delta
            where = f"{item.figure.protocol}; {item.figure.source}"
            rows.append((cell.benchmark, cell.model, score_text(item.ours), f"{item.figure.value:g}", words, where))
    return rows
