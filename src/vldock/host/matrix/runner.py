"""A whole matrix run: every cell evaluated, its record, tables and reports written.

A container for each model and device; resumable after any death.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from vldock.common.cell_record import Cell
from vldock.host.matrix import estimates
from vldock.host.matrix.background_reads import BackgroundReads, Facts
from vldock.host.matrix.dispatcher import Dispatcher
from vldock.host.matrix.executor import Executor
from vldock.host.reports import statistics
from vldock.host.reports import tables as result_tables
from vldock.host.reports import write as report_write
from vldock.host.runs import log_files
from vldock.host.runs.cell_records import CellRecords
from vldock.host.runs.devices import Device
from vldock.host.runs.events import Event, Sink, SummaryLog, event, fan_out
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import Key
from vldock.host.runs.record import JobRecord, RunRecord, State, WorkPeriod
from vldock.host.util.signals import signals_interrupt

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class RunOutcome:
    """Outcome of a run: its recorded cells, in the plan's order."""

    folder: RunFolder
    record: RunRecord
    cells: tuple[Cell, ...]

    @property
    def succeeded(self) -> int:
        """Number of cells with a trustworthy score."""
        return sum(cell.status == "succeeded" for cell in self.cells)

    @property
    def total(self) -> int:
        """Number of cells in the plan."""
        return len(self.record.plan.cells)

    def as_json(self) -> dict[str, Any]:
        """Return the object --json prints."""
        return {
            "run": str(self.folder.path),
            "state": self.record.state,
            "standin": self.record.plan.standin,
            "succeeded": self.succeeded,
            "total": self.total,
            "seconds": round(self.record.seconds, 3),
            "report": str(self.folder.report),
            "page": str(self.folder.page),
            "cells": [
                {"model": c.model, "benchmark": c.benchmark, "status": c.status, "score": c.score, "error": c.error}
                for c in self.cells
            ],
        }


def execute(
    folder: RunFolder,
    record: RunRecord,
    *,
    executor: Executor,
    places: Sequence[Device],
    show: Sink,
    facts: Callable[[], Facts],
    now: Now = utc_now,
) -> RunOutcome:
    """Evaluate until every cell has a record, then write tables and report.

    The caller holds the run's lock.

    A KeyboardInterrupt (Ctrl-C, SIGTERM) ends the containers, keeps the finished cells, writes their report and is
    raised again; so is EnvironmentUnfit when no device remains. `facts` of the image are read in the background.
    """
    log = SummaryLog(folder.summary, now=now)
    with closing(log), BackgroundReads(facts) as reads:
        recorder = RunRecorder(folder, record, now=now, reads=reads)
        work = RunInProgress(recorder, fan_out(log, show), reads)
        try:
            with signals_interrupt():
                work.evaluate(executor, places)
        except BaseException as error:
            work.close("interrupted", reason=type(error).__name__)
            raise
        return work.close("finished")


class RunRecorder:
    """The record of a run on disk, saved with every cell and job."""

    def __init__(self, folder: RunFolder, record: RunRecord, *, now: Now, reads: BackgroundReads) -> None:
        self.folder, self._now, self._reads = folder, now, reads
        started = now().isoformat()
        period = WorkPeriod(started, started)
        self.record = replace(record, state="running", sessions=(*record.sessions, period))
        folder.save(self.record)

    def tick(self) -> None:
        """Save the time worked so far, and the facts of the image."""
        self._save(self._with_facts(self.record.with_time(self._now())))

    def add_job(self, job: JobRecord) -> None:
        """Save the record of an ended job."""
        self._save(replace(self.record.with_time(self._now()), stints=(*self.record.stints, job)))

    def finish(self, state: State) -> None:
        """Save the final state, once the facts of the image are known."""
        self._save(self._with_facts(replace(self.record.with_time(self._now()), state=state), wait=True))

    def _with_facts(self, record: RunRecord, *, wait: bool = False) -> RunRecord:
        return replace(record, facts=self._reads.facts(wait=wait) or record.facts)

    def _save(self, record: RunRecord) -> None:
        self.record = record
        self.folder.save(record)


class RunInProgress:
    """Sink of the run's events, and the cells it records.

    Writes a model's tables when its cells are complete.
    """

    def __init__(self, recorder: RunRecorder, forward: Sink, reads: BackgroundReads) -> None:
        self.recorder, self.forward, self.reads = recorder, forward, reads
        self.folder, self.plan = recorder.folder, recorder.record.plan
        self.cells: dict[Key, Cell] = self.folder.finished_cells(self.plan)

    def evaluate(self, executor: Executor, places: Sequence[Device]) -> None:
        """Dispatch every cell without a record to the devices."""
        plan, finished = self.plan, list(self.cells.values())
        several = {"devices": [place.name for place in places]} if len(places) > 1 else {}
        counts = {"cells": len(plan.cells), "kept": len(finished)}
        self.forward(event("run_start", run=self.folder.name, **counts, standin=plan.standin, **several))
        for cell in finished:
            self.forward(event("cell_end", kept=True, **_fields(cell)))
        log_files.gather(self.folder, plan.user)
        expected = estimates.estimate(self.folder.path.parent, plan)
        statistics.import_in_background()
        dispatcher = Dispatcher(
            CellRecords(plan, self.folder),
            places,
            executor,
            expected,
            self.take_event,
            self.recorder.add_job,
            share=self.recorder.record.where.data_parallel == "auto",
            cells=self.cells,
        )
        dispatcher.run(key for key in plan.cells if key not in self.cells)

    def take_event(self, item: Event) -> None:
        """Forward an event.

        The end of a cell saves the record; the end of a model writes its tables.
        """
        self.forward(item)
        if item["event"] == "cell_end":
            self.recorder.tick()
            keys = [key for key in self.plan.cells if key[0] == item["model"]]
            if all(key in self.cells for key in keys):
                self.write_tables(item["model"])
                self.reads.gather(self.folder.path, [self.cells[key] for key in keys])

    def write_tables(self, model: str) -> None:
        """Write a model's results as CSV and XLSX."""
        rows = [self.cells[key] for key in self.plan.cells if key[0] == model and key in self.cells]
        result_tables.write_csv(self.folder.results(model, "csv"), rows)
        result_tables.write_xlsx(self.folder.results(model, "xlsx"), rows, standin=self.plan.standin)

    def close(self, state: State, *, reason: str | None = None) -> RunOutcome:
        """Write the final record, tables and reports, and return the outcome."""
        if state == "interrupted":
            self.cells |= self.folder.finished_cells(self.plan)
        self.recorder.finish(state)
        record = self.recorder.record
        cells = tuple(self.cells[key] for key in self.plan.cells if key in self.cells)
        for model in self.plan.models:
            self.write_tables(model)
        report_write.write_reports(self.folder, record, cells, known=self.reads.gathered())
        counts = Counter(cell.status for cell in cells)
        values = {"succeeded": counts["succeeded"], "failed": counts["failed"], "seconds": record.seconds}
        self.forward(event("run_end", state=state, standin=self.plan.standin, reason=reason, **values))
        return RunOutcome(self.folder, record, cells)


def _fields(cell: Cell) -> dict[str, Any]:
    names = ("model", "benchmark", "status", "score", "metric", "samples", "seconds", "standin", "error")
    return {name: getattr(cell, name) for name in names}
