"""The group mini-benchmark: scores of a real matrix run against published bands.

The run is finished, on real weights and whole benchmarks. The bands of locks/bands.json are wide on purpose: they
catch a wrong template or wrong preprocessing, not a point.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.host.receipts.statement import BENCH_GROUP, Band, GroupResult, Status
from vldock.host.runs.folder import RunFolder

FILE = "locks/bands.json"


@dataclass(frozen=True)
class ScoreBounds:
    """Bounds of a cell's score (0-100, both included), and their source."""

    model: str
    benchmark: str
    low: float
    high: float
    source: str


def load(path: Path) -> tuple[ScoreBounds, ...]:
    """Read the bounds; raises InputRefused where the file holds none."""
    try:
        found = tuple(ScoreBounds(**raw) for raw in json.loads(path.read_text(encoding="utf-8"))["bands"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputRefused(f"{path} holds no bands: {error}", hint=f"git checkout -- {path}") from error
    if not found:
        raise InputRefused(f"{path} holds no bands", hint=f"git checkout -- {path}")
    return found


def score_run(run: Path, *, image: str, bounds: Sequence[ScoreBounds]) -> GroupResult:
    """Return the group's result from the run in the folder `run`.

    `image` is the verified id.

    Raises InputRefused where the run is no evidence for the image: of another image, on stand-ins, or cut to a few
    samples. A cell that is missing, failed or out of its band fails the group.
    """
    folder = RunFolder(run)
    plan = folder.load().plan
    command = "vldock matrix --models llava_v1.5_7b --benchmarks " + ",".join(bound.benchmark for bound in bounds)
    refusals = {
        f"{run} was made with stand-ins, whose scores say nothing": plan.standin,
        f"{run} was made with image {plan.image_id[:19]}, not {image[:19]}": plan.image_id != image,
        f"{run} was cut to {plan.samples} samples of each benchmark": plan.samples is not None,
    }
    for what, holds in refusals.items():
        if holds:
            raise InputRefused(what, expected="whole benchmarks, real weights, this very image", hint=command)
    bands, failures = [], []
    for bound in bounds:
        name = f"{bound.model} x {bound.benchmark}"
        cell = Cell.load(folder.cell(bound.model, bound.benchmark))
        if cell is None or cell.score is None or cell.status != "succeeded" or cell.standin:
            failures.append(f"{name}: no score" + (f" ({cell.error})" if cell and cell.error else ""))
            continue
        bands.append(Band(name, cell.score, bound.low, bound.high))
        if not bands[-1].holds:
            failures.append(f"{name}: {cell.score:.2f} is not within {bound.low:g} to {bound.high:g}")
    good = len(bounds) - len(failures)
    status: Status = "failed" if failures else "passed"
    return GroupResult(
        BENCH_GROUP, status, passed=good, failed=len(failures), failures=tuple(failures), bands=tuple(bands)
    )
