"""The jobs that run: started by the executor, heard each in a thread of its own, ended, and what they did put away."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Exit, Line
from vldock.host.matrix.executor import DeviceJob, Executor, StartedJob
from vldock.host.matrix.job_output import JobOutput
from vldock.host.matrix.scheduler import DeviceState
from vldock.host.runs import log_files
from vldock.host.runs.cell_records import CellRecords
from vldock.host.runs.plan import Key
from vldock.host.runs.record import JobRecord

Item = Line | Exit | BaseException | None


@dataclass(eq=False)
class RunningJob:
    """A job that runs: the devices it holds, the cell it has, and what its lines have told."""

    job: DeviceJob
    names: tuple[str, ...]
    watched: StartedJob
    stack: ExitStack
    began: float
    heard: float
    started: str
    given: Key | None = None
    ends: float = 0.0
    leaving: bool = False
    seen: JobOutput = field(default_factory=JobOutput)


@dataclass
class RunningJobs:
    """The workers; `on_stint` is told what each has done when it ends."""

    records: CellRecords
    executor: Executor
    on_stint: Callable[[JobRecord], None]
    clock: Callable[[], float]
    workers: list[RunningJob] = field(default_factory=list)
    inbox: queue.Queue[tuple[RunningJob, Item]] = field(default_factory=queue.Queue)

    def on(self, name: str) -> RunningJob | None:
        """Return the worker that holds a device."""
        return next((one for one in self.workers if name in one.names), None)

    def seats(self, usable: Sequence[str]) -> dict[str, DeviceState]:
        """Return the usable devices as the schedule sees them."""
        seats, now = {name: DeviceState(name) for name in usable}, self.clock()
        for worker in self.workers:
            busy = worker.given is not None or worker.leaving
            model = None if worker.leaving else worker.job.model
            for name in set(worker.names) & seats.keys():
                seats[name] = DeviceState(name, model, max(0.0, worker.ends - now) if busy else 0.0, busy)
        return seats

    def start(self, job: DeviceJob, names: tuple[str, ...]) -> RunningJob:
        """Start a job on these devices and listen to it; raises EnvironmentUnfit where it cannot be started there."""
        stack = ExitStack()
        watched = stack.enter_context(self.executor.start(job))
        now = self.clock()
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        worker = RunningJob(job, names, watched, stack, now, now, started)
        self.workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def retire(self, worker: RunningJob) -> None:
        """Tell a job that nothing follows."""
        worker.leaving, worker.ends = True, self.clock()
        worker.watched.finish()

    def end(self, worker: RunningJob) -> str:
        """Remove what an ended job left and return why it ended: 'done' where it had no cell."""
        self.workers.remove(worker)
        worker.stack.close()
        cause = worker.seen.cause(self._log_paths(worker)) if worker.given else "done"
        self._put_away(worker, cause)
        return cause

    def stop(self) -> None:
        """End every job, all at once and gently: an exception is on its way."""
        cause = sys.exc_info()
        workers, self.workers = self.workers, []
        with ThreadPoolExecutor(max_workers=max(1, len(workers))) as pool:
            list(pool.map(lambda worker: _leave(worker.stack, cause), workers))
        for worker in workers:
            self._put_away(worker, "interrupted")

    def _listen(self, worker: RunningJob) -> None:
        """Pass on what a job says and how it ends; runs in a thread of its own."""
        try:
            for line in worker.watched.lines():
                self.inbox.put((worker, line))
            self.inbox.put((worker, worker.watched.wait()))
        except Exception as error:  # noqa: BLE001  raised again by the loop, which is where it can be handled
            self.inbox.put((worker, error))

    def _put_away(self, worker: RunningJob, end: str) -> None:
        """Keep what an ended job did, and its log."""
        job, seen, folder = worker.job, worker.seen, self.records.folder
        seconds = round(self.clock() - worker.began, 3)
        self.on_stint(
            JobRecord(
                device=job.device.name,
                model=job.model,
                started=worker.started,
                seconds=seconds,
                cells=tuple(seen.done),
                load_seconds=seen.load_seconds,
                ranks=job.device.ranks,
                end=end,
            )
        )
        if job.log:
            log_files.merge(folder, job.model, job.log, device=job.device.name, user=self.records.plan.user)

    def _log_paths(self, worker: RunningJob) -> list[Path]:
        """Return the logs a job may have written to, its own first."""
        folder, job = self.records.folder, worker.job
        own = [folder.path / "logs" / job.log] if job.log else []
        return [*own, folder.model_log(job.model)]


def _leave(stack: ExitStack, cause: tuple[Any, Any, Any]) -> None:
    """End a job because of an exception; that it cannot be ended is less than what is on its way."""
    with contextlib.suppress(EnvironmentUnfit):
        stack.__exit__(*cause)
