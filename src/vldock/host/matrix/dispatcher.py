"""Dispatcher of cells to free devices.

Cells of a lost device go to another. One loop in one thread decides everything; no cell runs twice. Around it:
running_jobs (jobs and their threads), executor (where a job runs), scheduler (order), failure_policy (the cause of a
death).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vldock.common.cell_record import Cell
from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Exit, Line
from vldock.host.matrix import scheduler
from vldock.host.matrix.estimates import Estimates
from vldock.host.matrix.executor import DeviceJob, Executor
from vldock.host.matrix.failure_policy import Culprit, FailurePolicy
from vldock.host.matrix.job_output import REFUSALS, UNFIT
from vldock.host.matrix.running_jobs import Item, RunningJob, RunningJobs
from vldock.host.matrix.scheduler import Assignment, Task
from vldock.host.runs import devices, log_files
from vldock.host.runs.cell_records import CellRecords, verdict
from vldock.host.runs.devices import Device
from vldock.host.runs.events import Event, Sink, event
from vldock.host.runs.plan import Key
from vldock.host.runs.record import JobRecord


@dataclass
class Dispatcher:
    """The waiting cells and their devices.

    `cells` collects records, `on_job_end` receives that of each job.
    """

    records: CellRecords
    places: Sequence[Device]
    executor: Executor
    estimates: Estimates
    sink: Sink
    on_job_end: Callable[[JobRecord], None]
    share: bool = False
    clock: Callable[[], float] = time.monotonic
    cells: dict[Key, Cell] = field(default_factory=dict)
    waiting: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_name = {place.name: place for place in self.places}
        self.failures = FailurePolicy(list(self.by_name))
        self.jobs = RunningJobs(self.records, self.executor, self.on_job_end, self.clock)

    @property
    def several(self) -> bool:
        """Whether there are several devices, so that events must name theirs."""
        return len(self.places) > 1

    def run(self, keys: Iterable[Key]) -> dict[Key, Cell]:
        """Evaluate the cells and return a record of each.

        Raises EnvironmentUnfit when no working device remains; the waiting cells then have no record.
        """
        self.waiting = list(keys)
        try:
            self.assign()
            while self.jobs.running:
                self.handle(*self.jobs.inbox.get())
                self.assign()
            if self.waiting:
                raise EnvironmentUnfit(f"no device takes the {len(self.waiting)} cells that wait", hint="vldock doctor")
        except BaseException:
            self.jobs.stop()
            raise
        return self.cells

    def assign(self) -> None:
        """Assign the next cell to every free device; finish the jobs without one."""
        if self.failures.hopeless and self.waiting:
            raise EnvironmentUnfit(
                f"the last {self.failures.consecutive_give_ups} cells or models in a row were given up, "
                f"nothing finished in between: no device works any more; {len(self.waiting)} cells wait",
                hint="look at logs/, then vldock doctor",
            )
        for name in list(self.failures.usable):
            running = self.jobs.find(name)
            if running is not None and (running.cell or running.finishing):
                continue
            states = self.jobs.device_states(list(self.failures.usable))
            choice = scheduler.choose(name, states, self.waiting_tasks(), load=self.estimates.load, share=self.share)
            if running is None and choice is not None:
                self.start_job(choice)
            elif running is not None:
                if choice and choice.devices == running.devices and choice.task.model == running.job.model:
                    self.give(running, choice.task.key)
                else:
                    self.jobs.finish(running)

    def waiting_tasks(self) -> list[Task]:
        """Return the waiting cells, for the scheduler."""
        ranks = self.places[0].ranks
        seconds, avoid = self.estimates.cells, self.failures.devices_to_avoid
        return [Task(key, seconds[key] / ranks, avoid(key)) for key in self.waiting]

    def start_job(self, choice: Assignment) -> None:
        """Start a job for a cell.

        A device that cannot start one is left out.
        """
        places = [self.by_name[name] for name in choice.devices]
        device = places[0] if len(places) == 1 else devices.join_devices(places)
        model = choice.task.model
        job = DeviceJob(model, device, log_files.name_of(model, device.name) if self.several else None)
        try:
            running = self.jobs.start(job, choice.devices)
        except EnvironmentUnfit as error:
            gone = self.failures.leave_out(choice.devices)
            if not gone:
                raise
            self.report_left_out(gone, error.message)
            return
        self.give(running, choice.task.key)
        if device.ranks > 1:  # ranks that are out of step after a failed cell cannot take another
            running.finishing = True
            running.started.finish()

    def give(self, running: RunningJob, key: Key) -> None:
        """Hand a cell to a job."""
        self.waiting.remove(key)
        load = 0.0 if running.output.load_seconds else self.estimates.load(key[0])
        running.cell, running.ends = key, self.clock() + load + self.estimates.cells[key] / running.job.device.ranks
        running.started.give(key[1])

    def handle(self, running: RunningJob, item: Item) -> None:
        """Handle an item of a job.

        An item is a line, the job's end, an error, or silence.
        """
        if running not in self.jobs.running:
            return  # last lines of a job that was given up
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, Exit):
            running.output.exit = item
            self.end_job(running)
        elif item is not None:
            running.last_heard = self.clock()
            self.take_line(running, item)
        elif (limit := self.records.plan.timeout) and self.clock() - running.last_heard > limit:
            running.output.silent_for = self.clock() - running.last_heard
            self.end_job(running)

    def take_line(self, running: RunningJob, line: Line) -> None:
        """Handle a line: pass an event on to the sink.

        The end of a cell is reported as its record on disk.
        """
        item = running.output.take(line)
        if item is None:
            return
        if item["event"] == "model_loaded":
            self.failures.record_load(running.job.model, running.devices)
        if item["event"] != "cell_end":
            self.sink(self.with_device(item, running))
            return
        key = (running.job.model, str(item.get("benchmark")))
        cell = self.cells[key] = self.records.read(key)
        running.cell = None if running.cell == key else running.cell
        self.failures.record_success(running.devices)
        self.sink(self.with_device({**item, **verdict(cell)}, running))

    def end_job(self, running: RunningJob) -> None:
        """End a job, and put its unfinished cell back."""
        key, cause = running.cell, self.jobs.end(running)
        if key is not None:
            self.waiting.insert(0, key)
            self.decide(running, key, cause)

    def decide(self, running: RunningJob, key: Key, cause: str) -> None:
        """Decide the next step after an interrupted cell.

        The cell is retried or given up, or its device left out.
        """
        output, model = running.output, running.job.model
        culprit: Culprit = key if output.current else (model, None)
        if output.code in REFUSALS and output.code != UNFIT and not output.lost:
            decision = self.failures.give_up(culprit, refused=True)
        else:
            final = bool(output.unloaded or output.silent_for is not None or output.code == UNFIT) and not output.lost
            decision = self.failures.record_death(culprit, running.devices, final=final)
        if decision.given_up:
            lost = [key] if culprit == key else [one for one in self.waiting if one[0] == model]
            for one in lost:
                self.give_up(one, cause, running)
        else:
            self.sink(self.with_device(event("retry", model=model, benchmark=culprit[1], reason=cause), running))
        self.report_left_out(decision.left_out, cause)

    def give_up(self, key: Key, cause: str, running: RunningJob) -> None:
        """Record an unfinished cell."""
        self.waiting.remove(key)
        attempts = max(1, len(self.failures.struck.get(key, ()) or self.failures.struck.get((key[0], None), ())))
        cell = self.cells[key] = self.records.give_up(key, cause, attempts)
        item: Event = {"event": "cell_end", "model": key[0], "benchmark": key[1], **verdict(cell)}
        self.sink(self.with_device(item, running))

    def report_left_out(self, names: Iterable[str], reason: str) -> None:
        """Report devices that get no more cells; their running jobs may end."""
        for name in names:
            self.sink(event("device_left_out", on=name, reason=reason))

    def with_device(self, item: Event, running: RunningJob) -> Event:
        """Return the event with its device, where there are several."""
        return {**item, "on": running.job.device.name} if self.several else item
