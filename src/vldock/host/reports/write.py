"""Writer of a run's reports: EVALUATION_REPORT.md and report.html.

Both are written from the files of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.host.reports import html as html_report
from vldock.host.reports import markdown as markdown_report
from vldock.host.reports import score_intervals
from vldock.host.reports.sample_selection import PER_CELL, SampleSelection
from vldock.host.reports.score_intervals import Gathered
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.record import RunRecord


@dataclass(frozen=True)
class ReportFiles:
    """Folder, cells, evidence and samples of written reports."""

    folder: RunFolder
    cells: tuple[Cell, ...]
    gathered: Gathered
    selection: SampleSelection

    def as_json(self) -> dict[str, Any]:
        """Return the values for `vldock report --json`."""
        return {
            "report": str(self.folder.report),
            "page": str(self.folder.page),
            "bytes": self.folder.page.stat().st_size,
            "samples": len(self.selection.samples),
            "samples_left_out": self.selection.left_out,
            "pictures": len(self.selection.pictures),
            "pictures_left_out": self.selection.pictures_left_out,
            "cells": [self._cell(cell) for cell in self.cells],
        }

    def _cell(self, cell: Cell) -> dict[str, Any]:
        found = self.gathered[cell.model, cell.benchmark]
        interval = found.interval
        return {
            "model": cell.model,
            "benchmark": cell.benchmark,
            "status": cell.status,
            "standin": cell.standin,
            "score": cell.score,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "n": interval.n if interval else None,
            "method": interval.method if interval else None,
            "reason": found.reason,
            "verdicts": len(found.samples.judged),
        }


def write_reports(
    folder: RunFolder,
    record: RunRecord,
    cells: Sequence[Cell],
    *,
    per_cell: int = PER_CELL,
    known: Gathered | None = None,
) -> ReportFiles:
    """Write both reports of a run and return their contents.

    Evidence in `known` is not read again.
    """
    known = known or {}
    folder.report.write_text(
        markdown_report.render(folder, record, cells), encoding="utf-8"
    )  # a kill below leaves a report
    unread = [cell for cell in cells if (cell.model, cell.benchmark) not in known]
    gathered = {**known, **score_intervals.gather(folder.path, unread)}
    folder.report.write_text(markdown_report.render(folder, record, cells, gathered), encoding="utf-8")
    selection = html_report.write(folder, record, cells, gathered, per_cell=per_cell)
    return ReportFiles(folder, tuple(cells), gathered, selection)


def rewrite_reports(folder: RunFolder, *, per_cell: int = PER_CELL) -> ReportFiles:
    """Write the reports of a run again, from run.json and its cells' records.

    Raises InputRefused when the folder is no run's.
    """
    record = folder.load()
    cells = []
    for model, benchmark in record.plan.cells:
        try:
            cell = Cell.load(folder.cell(model, benchmark))
        except InputRefused:
            continue  # shown as not run, which is what `vldock matrix --resume` takes it for
        if cell is not None:
            cells.append(cell)
    return write_reports(folder, record, cells, per_cell=per_cell)
