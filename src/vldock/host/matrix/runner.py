"""`vldock matrix`: every cell evaluated, a container for each model and device, resumable after any death."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common import cache_env
from vldock.common.cell_record import Cell
from vldock.common.inference_options import BATCH_VARIABLE, CACHE_VARIABLE, ENGINE_VARIABLE
from vldock.common.passport import IMAGE_VARIABLE
from vldock.common.prompt_style import VARIABLE as PROMPT_VARIABLE
from vldock.host.containers.spec import Spec, workspace_mounts
from vldock.host.matrix import estimates
from vldock.host.matrix.background_reads import BackgroundReads, Facts
from vldock.host.matrix.dispatcher import Dispatcher
from vldock.host.matrix.executor import DeviceJob, Executor, LocalContainers
from vldock.host.reports import statistics
from vldock.host.reports import tables as result_tables
from vldock.host.reports import write as report_write
from vldock.host.runs import log_files
from vldock.host.runs.cell_records import CellRecords
from vldock.host.runs.devices import Device
from vldock.host.runs.events import Event, Sink, SummaryLog, event, fan_out
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan
from vldock.host.runs.record import JobRecord, RunRecord, State, WorkPeriod
from vldock.host.util.signals import signals_interrupt

ROLE = "matrix"
Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class RunOutcome:
    """A run's end: every cell of the plan that has a record, in the plan's order."""

    folder: RunFolder
    record: RunRecord
    cells: tuple[Cell, ...]

    @property
    def succeeded(self) -> int:
        """How many cells have a trustworthy score."""
        return sum(cell.status == "succeeded" for cell in self.cells)

    @property
    def total(self) -> int:
        """How many cells were asked."""
        return len(self.record.plan.cells)

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints."""
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


def spec(plan: RunPlan, *, folder: RunFolder, run_id: str, job: DeviceJob, benchmarks: Sequence[str] = ()) -> Spec:
    """Return the container of a job; without `benchmarks` it is told their names on its standard input."""
    inside = f"{cache_env.OUTPUTS}/{folder.name}"
    limit = ["--limit", str(plan.samples)] if plan.samples else []
    log = ["--log", job.log] if job.log else []
    device = job.device
    return Spec(
        image=plan.image_id,
        argv=(
            *launcher(device),
            *("evaluate", "--json", "--model", job.model),
            *("--data", *(benchmarks or ("-",)), *limit, "--out", inside, *log),
        ),
        role=ROLE,
        run_id=run_id,
        env={
            IMAGE_VARIABLE: plan.image_id,
            PROMPT_VARIABLE: plan.prompt,
            ENGINE_VARIABLE: plan.engine,
            CACHE_VARIABLE: str(int(plan.feature_cache)),
            BATCH_VARIABLE: "" if plan.batch_size is None else str(plan.batch_size),
            **({"VLDOCK_STANDIN": "1"} if plan.standin else {}),
            **({"OMP_NUM_THREADS": str(max(1, device.threads // device.ranks))} if device.threads else {}),
        },
        mounts=workspace_mounts(
            outputs=folder.path.parent,
            data=_path(plan.data),
            cache=_path(plan.cache),
            env_file=_path(plan.env_file),
            read_only_inputs=plan.read_only_inputs,
        ),
        user=plan.user,
        gpus=device.gpus,
        network=plan.network,
        stdin=not benchmarks,
        cpus=device.threads if device.gpus == "none" else None,
        memory=device.memory,
    )


def launcher(device: Device) -> tuple[str, ...]:
    """Return how the image's commands are started on a device: by torchrun where several processes share a cell."""
    if device.ranks == 1:
        return ("python", "-m", "vldock.image")
    return ("torchrun", "--standalone", "--nproc-per-node", str(device.ranks), "-m", "vldock.image")


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def local_executor(client: Any, plan: RunPlan, *, folder: RunFolder, run_id: str) -> Executor:
    """Return the executor that starts containers on this machine."""
    return LocalContainers(client, lambda job: spec(plan, folder=folder, run_id=run_id, job=job))


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
    """Work on a run until every cell has a record, and write its tables and report; the caller holds its lock.

    A KeyboardInterrupt (Ctrl-C, SIGTERM) ends the containers, keeps what is done, writes the report of that, and goes
    on to the caller; so does EnvironmentUnfit when no device is left. `facts` of the image are asked meanwhile.
    """
    started = now().isoformat()
    record = replace(
        record,
        state="running",
        sessions=(*record.sessions, WorkPeriod(started, started)),
    )
    folder.save(record)
    log = SummaryLog(folder.summary, now=now)
    with closing(log), BackgroundReads(facts) as meanwhile:
        work = RunInProgress(folder, record, fan_out(log, show), now, meanwhile)
        try:
            with signals_interrupt():
                work.all_cells(executor, places)
        except BaseException as error:
            work.close("interrupted", reason=type(error).__name__)
            raise
        return work.close("finished")


class RunInProgress:
    """The state of `execute`: the record moves on with every cell, the cells gather."""

    def __init__(self, folder: RunFolder, record: RunRecord, sink: Sink, now: Now, meanwhile: BackgroundReads) -> None:
        self._meanwhile = meanwhile
        self.folder, self.record, self.now = folder, record, now
        self.plan: RunPlan = record.plan
        self._sink = sink
        self.cells: dict[tuple[str, str], Cell] = folder.finished_cells(self.plan)

    def sink(self, item: Event) -> None:
        self._sink(item)
        if item["event"] == "cell_end":
            self.record = self._told(self.record.with_time(self.now()))
            self.folder.save(self.record)
            keys = [key for key in self.plan.cells if key[0] == item["model"]]
            if all(key in self.cells for key in keys):
                self.tables(item["model"])
                self._meanwhile.gather(self.folder.path, [self.cells[key] for key in keys])

    def _told(self, record: RunRecord, *, wait: bool = False) -> RunRecord:
        return replace(record, facts=self._meanwhile.facts(wait=wait) or record.facts)

    def add(self, stint: JobRecord) -> None:
        self.record = replace(self.record.with_time(self.now()), stints=(*self.record.stints, stint))
        self.folder.save(self.record)

    def all_cells(self, executor: Executor, places: Sequence[Device]) -> None:
        plan, kept = self.plan, list(self.cells.values())
        told = {"devices": [place.name for place in places]} if len(places) > 1 else {}
        counts = {"cells": len(plan.cells), "kept": len(kept)}
        self.sink(event("run_start", run=self.folder.name, **counts, standin=plan.standin, **told))
        for cell in kept:
            self._sink(event("cell_end", kept=True, **_fields(cell)))
        log_files.gather(self.folder, plan.user)
        expected = estimates.estimate(self.folder.path.parent, plan)
        wide = self.record.where.data_parallel == "auto"
        statistics.import_in_background()
        work = Dispatcher(CellRecords(plan, self.folder), places, executor, expected, self.sink, self.add, wide=wide)
        work.cells = self.cells
        work.run(key for key in plan.cells if key not in self.cells)

    def tables(self, model: str) -> None:
        rows = [self.cells[key] for key in self.plan.cells if key[0] == model and key in self.cells]
        result_tables.write_csv(self.folder.results(model, "csv"), rows)
        result_tables.write_xlsx(self.folder.results(model, "xlsx"), rows, standin=self.plan.standin)

    def close(self, state: State, *, reason: str | None = None) -> RunOutcome:
        if state == "interrupted":
            self.cells |= self.folder.finished_cells(self.plan)
        self.record = self._told(replace(self.record.with_time(self.now()), state=state), wait=True)
        self.folder.save(self.record)
        cells = tuple(self.cells[key] for key in self.plan.cells if key in self.cells)
        outcome = RunOutcome(self.folder, self.record, cells)
        for model in self.plan.models:
            self.tables(model)
        report_write.write_reports(self.folder, self.record, cells, known=self._meanwhile.gathered())
        counts = Counter(cell.status for cell in cells)
        values = {"succeeded": counts["succeeded"], "failed": counts["failed"], "seconds": self.record.seconds}
        self._sink(event("run_end", state=state, standin=self.plan.standin, reason=reason, **values))
        return outcome


def _fields(cell: Cell) -> dict[str, Any]:
    names = ("model", "benchmark", "status", "score", "metric", "samples", "seconds", "standin", "error")
    return {name: getattr(cell, name) for name in names}
