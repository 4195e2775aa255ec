"""Published scores of the matrix's models, each with source and protocol.

They are declared in data/reference_scores.json.

docs/trust/reference-scores.md is generated from it (vldock.host.build.generate).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.matrix import matrix_benchmarks, matrix_models

EXACT = "exact_matching"


@dataclass(frozen=True)
class Figure:
    """One published score, 0-100.

    `metric` None: the headline. `judge`: exact_matching, api, or None for either.
    """

    model: str
    benchmark: str
    value: float
    source: str
    protocol: str
    comparable: bool
    judge: str | None
    metric: str | None


@dataclass(frozen=True)
class ComparedFigure:
    """A figure beside a cell's own score.

    `delta` is ours minus theirs in points, None where the two cannot be compared.
    """

    figure: Figure
    ours: float | None
    delta: float | None
    caveat: str | None


@cache
def load_figures() -> tuple[Figure, ...]:
    """Return every figure, in the order of the file."""
    raw = load_document()
    return tuple(
        Figure(
            model=model,
            benchmark=item["benchmark"],
            value=float(value),
            source=raw["sources"][item["source"]],
            protocol=item["protocol"],
            comparable=item["comparable"],
            judge=item["judge"],
            metric=item.get("metric"),
        )
        for item in raw["figures"]
        for model, value in item["scores"].items()
    )


@cache
def load_document() -> dict[str, Any]:
    """Return data/reference_scores.json."""
    text = (files("vldock.host.reports") / "data" / "reference_scores.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def compare_cell(cell: Cell) -> list[ComparedFigure]:
    """Return the figures of a cell's model and benchmark, each compared where possible."""
    return [
        compare_figure(cell, item)
        for item in load_figures()
        if (item.model, item.benchmark) == (cell.model, cell.benchmark)
    ]


def compare_figure(cell: Cell, figure: Figure) -> ComparedFigure:
    """Return a figure beside the cell's score."""
    ours = cell.score if figure.metric is None else cell.metrics.get(figure.metric)
    if ours is None or cell.status != "succeeded":
        return ComparedFigure(figure, None, None, "no score of ours")
    unlike = _unlike(cell, figure)
    if unlike:
        return ComparedFigure(figure, float(ours), None, unlike)
    partial = f"ours is of the first {cell.limit} samples only" if cell.limit is not None else None
    return ComparedFigure(figure, float(ours), float(ours) - figure.value, partial)


def _unlike(cell: Cell, figure: Figure) -> str | None:
    if cell.standin:
        return "STAND-IN: not this model"
    if not figure.comparable:
        return "another protocol"
    exact = (cell.judge or EXACT) == EXACT
    return "another judge" if figure.judge is not None and exact != (figure.judge == EXACT) else None


def markdown() -> str:
    """Return docs/trust/reference-scores.md."""
    models = [model.name for model in matrix_models()]
    lines = [
        "# Reference scores",
        "",
        "<!-- generated from src/vldock/host/reports/data/reference_scores.json by `make generate` -->",
        "",
        "What others published for LLaVA-1.5, 0-100. A report shows these beside our scores; it takes the difference",
        "only where the protocol is comparable, the judge is of the same kind and no stand-in ran, and marks a run of",
        "the first samples only. They are wide sanity bands, not gates: record your own first full run and compare",
        "with that (`vldock compare`).",
        "",
        f"| benchmark | {' | '.join(models)} | comparable | protocol | source |",
        f"|---|{'---:|' * len(models)}---|---|---|",
    ]
    sources = load_document()["sources"]
    for item in load_document()["figures"]:
        values = [f"{item['scores'][model]:g}" if model in item["scores"] else "-" for model in models]
        words = ["yes" if item["comparable"] else "no", item["protocol"], sources[item["source"]]]
        lines.append(f"| {' | '.join([item['benchmark'], *values, *words])} |")
    known = {item["benchmark"] for item in load_document()["figures"]}
    without = [benchmark.name for benchmark in matrix_benchmarks() if benchmark.name not in known]
    return "\n".join([*lines, "", f"No published figure with a source was found for: {', '.join(without)}.", ""])
