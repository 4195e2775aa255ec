"""EVALUATION_REPORT.md: what a run found, what it was made with, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from vldock.common import passport
from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.common.inference_options import STOCK
from vldock.common.matrix import find_benchmark
from vldock.common.prompt_style import UPSTREAM
from vldock.common.tables.problems import REMARKS
from vldock.host.reports import html_page, reference_scores
from vldock.host.reports.score_intervals import Evidence, Gathered
from vldock.host.runs.devices import Placement
from vldock.host.runs.events import score_text
from vldock.host.runs.folder import RunFolder, RunRecord
from vldock.host.runs.plan import RunPlan
from vldock.host.util.console import duration_text

TEMPLATE = "EVALUATION_REPORT.md.j2"
Cells = Mapping[tuple[str, str], Cell]


def render(folder: RunFolder, record: RunRecord, cells: Sequence[Cell], gathered: Gathered | None = None) -> str:
    """Return the report of a run; a cell of the plan without a record is shown as not run.

    `gathered` is what is behind each score (evidence.gather); without it the intervals are dashes.
    """
    plan = record.plan
    by_key = {(cell.model, cell.benchmark): cell for cell in cells}
    succeeded = sum(cell.status == "succeeded" for cell in cells)
    return (
        html_page.environment(autoescape=False)
        .get_template(TEMPLATE)
        .render(
            name=folder.name,
            record=record,
            plan=plan,
            total=len(plan.cells),
            succeeded=succeeded,
            rate=f"{100 * succeeded / max(1, len(plan.cells)):.1f}",
            duration=duration_text(record.seconds),
            rows=[[name, *_columns(name, plan.models, by_key, gathered or {})] for name in plan.benchmarks],
            means=[mean(by_key, model, plan) for model in plan.models],
            kinds={name: found.kind for name in plan.benchmarks if (found := find_benchmark(name))},
            failures=[cell for cell in cells if cell.status != "succeeded"],
            missing=[key for key in plan.cells if key not in by_key],
            devices=distinct(map(device, cells)),
            stints=devices_table(record) if len({stint.device for stint in record.stints}) > 1 else [],
            judges=distinct(cell.judge for cell in cells if cell.status == "succeeded"),
            metrics={cell.benchmark: cell.metric for cell in cells if cell.metric},
            references=[] if plan.standin else [line for cell in cells for line in references(cell)],
            cut=[(*key, count) for key in plan.cells if (count := cut_prompts(folder, *key))],
            readings=[(*key, reading) for key in plan.cells if (reading := text_reading(folder, *key))],
            findings=findings(cells),
            facts=record.facts,
            command=command(plan, record.where),
            resume=f"vldock matrix --resume {folder.path}",
            line=lambda value: " ".join(str(value).split()).replace("|", "\\|"),
        )
    )


def devices_table(record: RunRecord) -> list[tuple[str, int, int, str, str, list[str]]]:
    """Return (device, containers, cells, busy, part of the wall time, what went wrong) of each device of a run."""
    rows = []
    for name in dict.fromkeys(stint.device for stint in record.stints):
        mine = [stint for stint in record.stints if stint.device == name]
        busy = sum(stint.seconds for stint in mine)
        share = f"{100 * busy / record.seconds:.0f} %" if record.seconds else "-"
        wrong = [stint.end for stint in mine if stint.end != "done"]
        rows.append((name, len(mine), sum(len(stint.cells) for stint in mine), duration_text(busy), share, wrong))
    return sorted(rows)


def cut_prompts(folder: RunFolder, model: str, benchmark: str) -> int:
    """Return how many prompts of a cell LLaVA cut, as its passport says; 0 where it has none that can be read."""
    try:
        return len(passport.load(folder.cell(model, benchmark) / passport.FILE)["prompts"]["cut"])
    except (InputRefused, KeyError):
        return 0  # the page shows which passport cannot be read


def text_reading(folder: RunFolder, model: str, benchmark: str) -> dict[str, Any] | None:
    """Return how many rows of a cell's table depend on how text is read, as its passport says; None where none do."""
    try:
        found = passport.load(folder.cell(model, benchmark) / passport.FILE)["data"]["text"]
    except (InputRefused, KeyError):
        return None
    return dict(found) if found["rows_with_missing_words"] or found["rows_respelled"] else None


def findings(cells: Sequence[Cell]) -> list[tuple[str, str, int]]:
    """Return (cell, what was told of rows of its table, how many) of each kind."""
    return [
        (f"{cell.model} x {cell.benchmark}", REMARKS[kind][0] if kind in REMARKS else kind, count)
        for cell in cells
        for kind, count in cell.findings.items()
    ]


def _columns(name: str, models: Sequence[str], cells: Cells, gathered: Gathered) -> list[str]:
    """Return score, interval and n of each model."""
    return [
        value for model in models for value in (text(cells.get((model, name))), *_interval(gathered.get((model, name))))
    ]


def _interval(evidence: Evidence | None) -> tuple[str, str]:
    found = evidence.interval if evidence else None
    return (found.text, str(found.n)) if found else ("-", "-")


def references(cell: Cell) -> list[tuple[str, str, str, str, str, str]]:
    """Return (benchmark, model, ours, theirs, difference, protocol and source) of what was published for a cell."""
    rows = []
    for item in reference_scores.beside(cell):
        delta = "-" if item.delta is None else f"{item.delta:+.1f}"
        words = f"{delta} ({item.caveat})" if item.caveat else delta
        where = f"{item.figure.protocol}; {item.figure.source}"
        rows.append((cell.benchmark, cell.model, score_text(item.ours), f"{item.figure.value:g}", words, where))
    return rows


def text(cell: Cell | None) -> str:
    """Return what the score table shows for a cell."""
    if cell is None:
        return "not run"
    return score_text(cell.score) if cell.status == "succeeded" else "FAILED"


def device(cell: Cell) -> str:
    """Return what a cell ran on: CPU, or the GPU by name."""
    if cell.device == "unknown":
        return "unknown"
    where = "CPU" if cell.device == "cpu" else f"GPU {cell.device}"
    return f"{where}, {cell.dtype}, attention {cell.attention}"


def mean(cells: Cells, model: str, plan: RunPlan) -> str:
    """Return the mean score of a model over all its benchmarks; a dash when one is missing."""
    scores = [cell.score for name in plan.benchmarks if (cell := cells.get((model, name))) and cell.score is not None]
    return score_text(sum(scores) / len(scores)) if scores and len(scores) == len(plan.benchmarks) else "-"


def distinct(values: Any) -> list[str]:
    """Return the different values that are known, in order of appearance."""
    return [value for value in dict.fromkeys(values) if value and not value.startswith("unknown")]


def command(plan: RunPlan, where: Placement | None = None) -> str:
    """Return the command that runs this plan again, spread as it was."""
    words = ["vldock", "matrix", "--fresh", "--image", plan.image]
    words += ["--models", ",".join(plan.models), "--benchmarks", benchmarks_option(plan.benchmarks)]
    words += ["--samples", "all" if plan.samples is None else str(plan.samples), "--gpus", plan.gpus]
    for option, value in (("--data", plan.data), ("--cache", plan.cache), ("--env-file", plan.env_file)):
        words += [option, value] if value else []
    words += ["--network", plan.network] if plan.network else []
    words += ["--read-only-inputs"] if plan.read_only_inputs else []
    words += ["--prompt", plan.prompt] if plan.prompt != UPSTREAM else []
    words += ["--engine", plan.engine, "--batch-size", str(plan.batch_size)] if plan.engine != STOCK else []
    words += ["--feature-cache"] if plan.feature_cache else []
    words += ["--standin"] if plan.standin else []
    if where and where.workers > 1:
        words += ["--workers", str(where.workers)]
    words += ["--no-spread"] if where and not where.spread else []
    words += ["--data-parallel", where.data_parallel] if where and where.data_parallel != "auto" else []
    return shlex.join(words)


def benchmarks_option(names: Sequence[str]) -> str:
    """Return the shortest --benchmarks value that gives these names."""
    from vldock.host.runs.plan import choose_benchmarks

    for word in ("all", "all24"):
        if choose_benchmarks(word) == tuple(names):
            return word
    return ",".join(names)
