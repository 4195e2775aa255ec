"""Running jobs: start, read output on a thread each, stop, record."""

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

# A line of a job, its end, an error of the thread that reads it, or None after a while of silence.
Item = Line | Exit | BaseException | None


@dataclass(eq=False)
class RunningJob:
    """A running job.

    Its devices, its current cell, and the facts of its output.
    """

    job: DeviceJob
    devices: tuple[str, ...]
    started: StartedJob
    stack: ExitStack
    began: float
    last_heard: float
    began_at: str
    cell: Key | None = None
    ends: float = 0.0
    finishing: bool = False
    output: JobOutput = field(default_factory=JobOutput)


@dataclass
class RunningJobs:
    """The running jobs; `on_job_end` receives the record of each when it ends."""

    records: CellRecords
    executor: Executor
    on_job_end: Callable[[JobRecord], None]
    clock: Callable[[], float]
    running: list[RunningJob] = field(default_factory=list)
    inbox: queue.Queue[tuple[RunningJob, Item]] = field(default_factory=queue.Queue)

    def find(self, device: str) -> RunningJob | None:
        """Return the job that holds a device."""
        return next((one for one in self.running if device in one.devices), None)

    def device_states(self, usable: Sequence[str]) -> dict[str, DeviceState]:
        """Return the states of the usable devices, for the scheduler."""
        states, now = {name: DeviceState(name) for name in usable}, self.clock()
        for one in self.running:
            busy = one.cell is not None or one.finishing
            model = None if one.finishing else one.job.model
            for name in set(one.devices) & states.keys():
                states[name] = DeviceState(name, model, max(0.0, one.ends - now) if busy else 0.0, busy)
        return states

    def start(self, job: DeviceJob, devices: tuple[str, ...]) -> RunningJob:
        """Start a job on these devices and read its output.

        Raises EnvironmentUnfit where it cannot be started.
        """
        stack = ExitStack()
        started = stack.enter_context(self.executor.start(job))
        now = self.clock()
        running = RunningJob(
            job, devices, started, stack, now, now, datetime.now(UTC).isoformat(timespec="milliseconds")
        )
        self.running.append(running)
        threading.Thread(target=self._read, args=(running,), daemon=True).start()
        return running

    def finish(self, running: RunningJob) -> None:
        """Announce the last cell to a job."""
        running.finishing, running.ends = True, self.clock()
        running.started.finish()

    def end(self, running: RunningJob) -> str:
        """Remove an ended job, record it, and return its cause of end.

        The cause is 'done' where it had no cell.
        """
        self.running.remove(running)
        running.stack.close()
        cause = running.output.cause(self._log_paths(running)) if running.cell else "done"
        self._record(running, cause)
        return cause

    def stop(self) -> None:
        """End every job in parallel and gently, because of the exception being handled."""
        cause = sys.exc_info()
        ended, self.running = self.running, []
        with ThreadPoolExecutor(max_workers=max(1, len(ended))) as pool:
            list(pool.map(lambda running: _leave(running.stack, cause), ended))
        for running in ended:
            self._record(running, "interrupted")

    def _read(self, running: RunningJob) -> None:
        """Pass on a job's lines and its end.

        Runs in a separate thread.
        """
        try:
            for line in running.started.lines():
                self.inbox.put((running, line))
            self.inbox.put((running, running.started.wait()))
        except Exception as error:  # noqa: BLE001  raised again by the loop, which is where it can be handled
            self.inbox.put((running, error))

    def _record(self, running: RunningJob, end: str) -> None:
        """Record an ended job, and merge its log into the model's."""
        job, output = running.job, running.output
        self.on_job_end(
            JobRecord(
                device=job.device.name,
                model=job.model,
                started=running.began_at,
                seconds=round(self.clock() - running.began, 3),
                cells=tuple(output.done),
                load_seconds=output.load_seconds,
                ranks=job.device.ranks,
                end=end,
            )
        )
        if job.log:
            log_files.merge(
                self.records.folder, job.model, job.log, device=job.device.name, user=self.records.plan.user
            )

    def _log_paths(self, running: RunningJob) -> list[Path]:
        """Return the logs a job may have written to, its own first."""
        folder, job = self.records.folder, running.job
        own = [folder.path / "logs" / job.log] if job.log else []
        return [*own, folder.model_log(job.model)]


def _leave(stack: ExitStack, cause: tuple[Any, Any, Any]) -> None:
    """End a job because of an exception.

    An engine that cannot end it must not hide that exception.
    """
    with contextlib.suppress(EnvironmentUnfit):
        stack.__exit__(*cause)
