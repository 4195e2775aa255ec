"""Cells to devices: each free device takes the next cell, a lost one's cell goes on elsewhere, nothing runs twice.

One loop in one thread decides everything. The jobs that run are the crew's (crew.py), what runs where the executor's
(executor.py), in which order the schedule's (schedule.py), whose fault a death was blame.py's.
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
    """The work on the cells that wait; `cells` gathers their records, `on_stint` is told what each job did."""

    records: CellRecords
    places: Sequence[Device]
    executor: Executor
    costs: Estimates
    sink: Sink
    on_stint: Callable[[JobRecord], None]
    wide: bool = False
    clock: Callable[[], float] = time.monotonic
    cells: dict[Key, Cell] = field(default_factory=dict)
    waiting: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_name = {place.name: place for place in self.places}
        self.blame = FailurePolicy(list(self.by_name))
        self.crew = RunningJobs(self.records, self.executor, self.on_stint, self.clock)

    @property
    def many(self) -> bool:
        """Tell whether there is more than one device, so that it must be said which one is meant."""
        return len(self.places) > 1

    def run(self, keys: Iterable[Key]) -> dict[Key, Cell]:
        """Evaluate the cells and return a record of each.

        Raises EnvironmentUnfit when no device is left that works: what waits then has no record.
        """
        self.waiting = list(keys)
        try:
            self.assign()
            while self.crew.workers:
                self.handle(*self.crew.inbox.get())
                self.assign()
            if self.waiting:
                raise EnvironmentUnfit(f"no device takes the {len(self.waiting)} cells that wait", hint="vldock doctor")
        except BaseException:
            self.crew.stop()
            raise
        return self.cells

    def assign(self) -> None:
        """Give every free device its next cell; end the jobs that have none."""
        if self.blame.hopeless and self.waiting:
            raise EnvironmentUnfit(
                f"the last {self.blame.in_a_row} cells or models in a row were given up, nothing finished in between: "
                f"no device works any more; {len(self.waiting)} cells wait",
                hint="look at logs/, then vldock doctor",
            )
        for name in list(self.blame.usable):
            worker = self.crew.on(name)
            if worker is not None and (worker.given or worker.leaving):
                continue
            seats = self.crew.seats(list(self.blame.usable))
            choice = scheduler.choose(name, seats, self.tasks(), load=self.costs.load, wide=self.wide)
            if worker is None and choice is not None:
                self.begin(choice)
            elif worker is not None:
                same = choice is not None and choice.seats == worker.names and choice.task.model == worker.job.model
                self.give(worker, choice.task.key) if choice and same else self.crew.retire(worker)

    def tasks(self) -> list[Task]:
        """Return what waits."""
        ranks = self.places[0].ranks
        return [Task(key, self.costs.cells[key] / ranks, self.blame.avoided(key)) for key in self.waiting]

    def begin(self, choice: Assignment) -> None:
        """Start a job for a cell; a device on which none can be started is left out."""
        places = [self.by_name[name] for name in choice.seats]
        device = places[0] if len(places) == 1 else devices.join_devices(places)
        job = DeviceJob(
            choice.task.model, device, log_files.name_of(choice.task.model, device.name) if self.many else None
        )
        try:
            worker = self.crew.start(job, choice.seats)
        except EnvironmentUnfit as error:
            gone = self.blame.leave_out(choice.seats)
            if not gone:
                raise
            self.tell_left_out(gone, error.message)
            return
        self.give(worker, choice.task.key)
        if device.ranks > 1:  # ranks that are out of step after a failed cell cannot take another
            worker.leaving = True
            worker.watched.finish()

    def give(self, worker: RunningJob, key: Key) -> None:
        """Hand a cell to a job."""
        self.waiting.remove(key)
        load = 0.0 if worker.seen.load_seconds else self.costs.load(key[0])
        worker.given, worker.ends = key, self.clock() + load + self.costs.cells[key] / worker.job.device.ranks
        worker.watched.give(key[1])

    def handle(self, worker: RunningJob, item: Item) -> None:
        """Take in what came from a job."""
        if worker not in self.crew.workers:
            return  # the last lines of one that was given up
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, Exit):
            worker.seen.exit = item
            self.ended(worker)
        elif item is not None:
            worker.heard = self.clock()
            self.hear(worker, item)
        elif (limit := self.records.plan.timeout) and self.clock() - worker.heard > limit:
            worker.seen.silent_for = self.clock() - worker.heard
            self.ended(worker)

    def hear(self, worker: RunningJob, line: Line) -> None:
        """Take in a line; an event goes on to the sink, a cell's end as the record on disk tells it."""
        item = worker.seen.take(line)
        if item is None:
            return
        if item["event"] == "model_loaded":
            self.blame.model_loaded(worker.job.model, worker.names)
        if item["event"] != "cell_end":
            self.sink(self.placed(item, worker))
            return
        key = (worker.job.model, str(item.get("benchmark")))
        cell = self.cells[key] = self.records.read(key)
        worker.given = None if worker.given == key else worker.given
        self.blame.finished(worker.names)
        self.sink(self.placed({**item, **verdict(cell)}, worker))

    def ended(self, worker: RunningJob) -> None:
        """See what a job left, and whether a cell has to go on elsewhere."""
        key, cause = worker.given, self.crew.end(worker)
        if key is not None:
            self.waiting.insert(0, key)
            self.judge(worker, key, cause)

    def judge(self, worker: RunningJob, key: Key, cause: str) -> None:
        """Decide whether a cell that was cut off is tried again, given up, or its device left out."""
        seen, model = worker.seen, worker.job.model
        culprit: Culprit = key if seen.current else (model, None)
        if seen.code in REFUSALS and seen.code != UNFIT and not seen.lost:
            verdict = self.blame.give_up(culprit, refused=True)
        else:
            final = bool(seen.unloaded or seen.silent_for is not None or seen.code == UNFIT) and not seen.lost
            verdict = self.blame.died(culprit, worker.names, final=final)
        if verdict.given_up:
            lost = [key] if culprit == key else [one for one in self.waiting if one[0] == model]
            for one in lost:
                self.give_up(one, cause, worker)
        else:
            self.sink(self.placed(event("retry", model=model, benchmark=culprit[1], reason=cause), worker))
        self.tell_left_out(verdict.left_out, cause)

    def give_up(self, key: Key, cause: str, worker: RunningJob) -> None:
        """Record a cell no job finished."""
        self.waiting.remove(key)
        attempts = max(1, len(self.blame.struck.get(key, ()) or self.blame.struck.get((key[0], None), ())))
        cell = self.cells[key] = self.records.give_up(key, cause, attempts)
        item: Event = {"event": "cell_end", "model": key[0], "benchmark": key[1], **verdict(cell)}
        self.sink(self.placed(item, worker))

    def tell_left_out(self, names: Iterable[str], reason: str) -> None:
        """Say which devices get no more cells; the jobs they still have may end."""
        for name in names:
            self.sink(event("device_left_out", on=name, reason=reason))

    def placed(self, item: Event, worker: RunningJob) -> Event:
        """Return an event with the device it came from, where there are several."""
        return {**item, "on": worker.job.device.name} if self.many else item
