"""Confidence interval of each score, with its method, or the reason for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldock.common.cell_record import Cell
from vldock.common.matrix import find_benchmark
from vldock.host.reports import samples, statistics
from vldock.host.reports.samples import Sample, Samples
from vldock.host.reports.statistics import Interval

AGREES = 0.01  # points: VLMEvalKit rounds some of its figures to two digits
PROPORTIONS = ("OCRBench", "NaturalBenchDataset")  # totals only, but of samples that are right or wrong
MEANS = ("VizWiz",)  # totals only, the mean of scores of 0-1


@dataclass(frozen=True)
class Evidence:
    """Samples of a cell, with the interval of its score.

    Without an interval there is the reason for none.
    """

    samples: Samples
    interval: Interval | None
    reason: str | None


Gathered = Mapping[tuple[str, str], Evidence]


def gather(folder: Path, cells: Sequence[Cell]) -> dict[tuple[str, str], Evidence]:
    """Return the evidence of each cell of a run's folder."""
    return {(cell.model, cell.benchmark): gather_cell(folder / cell.model / cell.benchmark, cell) for cell in cells}


def gather_cell(folder: Path, cell: Cell) -> Evidence:
    """Return the evidence of one cell's folder."""
    found = samples.read(folder, cell)
    if cell.status != "succeeded" or cell.score is None:
        return Evidence(found, None, "there is no score")
    interval, reason = interval_of(cell, found)
    return Evidence(found, interval, reason)


def interval_of(cell: Cell, samples_of_cell: Samples) -> tuple[Interval | None, str | None]:
    """Return the interval of a cell's score, or None and the reason.

    There is none where the samples do not add up to that score.
    """
    score = cell.score or 0.0
    if cell.benchmark in PROPORTIONS and cell.samples:
        right = score * cell.samples / 100
        if abs(right - round(right)) < 0.01:
            return statistics.wilson(round(right), cell.samples), None
        return None, f"{score:.4g} is no share of {cell.samples} samples"
    if cell.benchmark in MEANS and cell.samples:
        return statistics.hoeffding(score / 100, cell.samples), None
    benchmark = find_benchmark(cell.benchmark)
    if benchmark is not None and benchmark.scale == "points":
        return None, "a sum of two accuracies for each category"
    rows = headline_rows(cell, samples_of_cell.judged)
    if not rows:
        return None, samples_of_cell.reason or "no verdict per sample"
    if cell.benchmark == "POPE":
        found_interval, centre = _pope(rows)
    else:
        scores = [row.score for row in rows if row.score is not None]
        found_interval, centre = statistics.mean_interval(scores), 100 * sum(scores) / len(scores)
    if abs(centre - score) > AGREES:
        return None, f"the samples give {centre:.2f}, the score is {score:.2f}"
    return found_interval, None


def headline_rows(cell: Cell, rows: Sequence[Sample]) -> list[Sample]:
    """Return the rows of the headline score.

    MMMU's is of one split, most are of everything.
    """
    split = (cell.metric or "").partition("|")[0].removeprefix("split=")
    mine = [row for row in rows if row.split == split]
    return mine or list(rows)


def _pope(rows: Sequence[Sample]) -> tuple[Interval, float]:
    """Return the interval of POPE's headline, an F1, and its centre.

    A row counts once for each category it is in (utils/yorn.py, POPE_rating).
    """
    counts = [(row.answer == "Yes", row.extracted == "Yes", len(row.category.split(","))) for row in rows]
    hits = sum(weight for truth, said, weight in counts if truth and said)
    misses = sum(weight for truth, said, weight in counts if truth != said)
    return statistics.f1_interval(counts), 200 * hits / max(1, 2 * hits + misses)
