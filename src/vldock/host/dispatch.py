"""Cells to devices: each free device takes the next cell, a lost one's cell goes on elsewhere, nothing runs twice.

One loop in one thread decides everything; a thread for each job only passes its lines on. What runs where is the
executor's (executor.py), in which order the schedule's (schedule.py), whose fault a death was blame.py's.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common.cell import Cell
from vldock.common.errors import EnvironmentUnfit
from vldock.host import devices, logs, schedule
from vldock.host.attempt import REFUSALS, UNFIT, Attempt
from vldock.host.blame import Blame, Culprit
from vldock.host.containers import Exit, Line
from vldock.host.costs import Costs
from vldock.host.devices import Device
from vldock.host.events import Event, Sink, event
from vldock.host.executor import Executor, Job, Watched
from vldock.host.records import Records, verdict
from vldock.host.run_folder import Stint
from vldock.host.schedule import Choice, Key, Seat, Task

Item = Line | Exit | BaseException | None


@dataclass(eq=False)
class Worker:
    """A job that runs: the devices it holds, the cell it has, and what its lines have told."""

    job: Job
    names: tuple[str, ...]
    watched: Watched
    stack: ExitStack
    began: float
    heard: float
    started: str
    given: Key | None = None
    ends: float = 0.0
    leaving: bool = False
    seen: Attempt = field(default_factory=Attempt)


@dataclass
class Dispatch:
    """The work on the cells that wait; `cells` gathers their records, `on_stint` is told what each job did."""

    records: Records
    places: Sequence[Device]
    executor: Executor
    costs: Costs
    sink: Sink
    on_stint: Callable[[Stint], None]
    wide: bool = False
    clock: Callable[[], float] = time.monotonic
    cells: dict[Key, Cell] = field(default_factory=dict)
    waiting: list[Key] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_name = {place.name: place for place in self.places}
        self.blame = Blame(list(self.by_name))
        self.inbox = queue.Queue[tuple[Worker, Item]]()

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
            while self.workers:
                self.handle(*self.inbox.get())
                self.assign()
            if self.waiting:
                raise EnvironmentUnfit(f"no device takes the {len(self.waiting)} cells that wait", hint="vldock doctor")
        except BaseException:
            self.stop()
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
            worker = next((one for one in self.workers if name in one.names), None)
            if worker is not None and (worker.given or worker.leaving):
                continue
            choice = schedule.choose(name, self.seats(), self.tasks(), load=self.costs.load, wide=self.wide)
            if worker is None and choice is not None:
                self.begin(choice)
            elif worker is not None:
                same = choice is not None and choice.seats == worker.names and choice.task.model == worker.job.model
                self.give(worker, choice.task.key) if choice and same else self.retire(worker)

    def seats(self) -> dict[str, Seat]:
        """Return the usable devices as the schedule sees them."""
        seats, now = {name: Seat(name) for name in self.blame.usable}, self.clock()
        for worker in self.workers:
            busy = worker.given is not None or worker.leaving
            model = None if worker.leaving else worker.job.model
            for name in set(worker.names) & seats.keys():
                seats[name] = Seat(name, model, max(0.0, worker.ends - now) if busy else 0.0, busy)
        return seats

    def tasks(self) -> list[Task]:
        """Return what waits."""
        ranks = self.places[0].ranks
        return [Task(key, self.costs.cells[key] / ranks, self.blame.avoided(key)) for key in self.waiting]

    def begin(self, choice: Choice) -> None:
        """Start a job for a cell; a device on which none can be started is left out."""
        places = [self.by_name[name] for name in choice.seats]
        device = places[0] if len(places) == 1 else devices.joined(places)
        job = Job(choice.task.model, device, logs.name_of(choice.task.model, device.name) if self.many else None)
        stack = ExitStack()
        try:
            watched = stack.enter_context(self.executor.start(job))
        except EnvironmentUnfit as error:
            gone = self.blame.leave_out(choice.seats)
            if not gone:
                raise
            self.tell_left_out(gone, error.message)
            return
        now = self.clock()
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        worker = Worker(job, choice.seats, watched, stack, now, now, started)
        self.workers.append(worker)
        threading.Thread(target=self.listen, args=(worker,), daemon=True).start()
        self.give(worker, choice.task.key)
        if device.ranks > 1:  # ranks that are out of step after a failed cell cannot take another
            worker.leaving = True
            watched.finish()

    def give(self, worker: Worker, key: Key) -> None:
        """Hand a cell to a job."""
        self.waiting.remove(key)
        load = 0.0 if worker.seen.load_seconds else self.costs.load(key[0])
        worker.given, worker.ends = key, self.clock() + load + self.costs.cells[key] / worker.job.device.ranks
        worker.watched.give(key[1])

    def retire(self, worker: Worker) -> None:
        """Tell a job that nothing follows."""
        worker.leaving, worker.ends = True, self.clock()
        worker.watched.finish()

    def listen(self, worker: Worker) -> None:
        """Pass on what a job says and how it ends; runs in a thread of its own."""
        try:
            for line in worker.watched.lines():
                self.inbox.put((worker, line))
            self.inbox.put((worker, worker.watched.wait()))
        except Exception as error:  # noqa: BLE001  raised again by the loop, which is where it can be handled
            self.inbox.put((worker, error))

    def handle(self, worker: Worker, item: Item) -> None:
        """Take in what came from a job."""
        if worker not in self.workers:
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

    def hear(self, worker: Worker, line: Line) -> None:
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

    def ended(self, worker: Worker) -> None:
        """See what a job left, and whether a cell has to go on elsewhere."""
        key = worker.given
        self.workers.remove(worker)
        worker.stack.close()
        cause = worker.seen.cause(self.log_paths(worker)) if key else "done"
        self.put_away(worker, cause)
        if key is not None:
            self.waiting.insert(0, key)
            self.judge(worker, key, cause)

    def put_away(self, worker: Worker, end: str) -> None:
        """Keep what an ended job did, and its log."""
        job, seen, folder = worker.job, worker.seen, self.records.folder
        seconds = round(self.clock() - worker.began, 3)
        self.on_stint(
            Stint(
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
            logs.merge(folder, job.model, job.log, device=job.device.name, user=self.records.plan.user)

    def judge(self, worker: Worker, key: Key, cause: str) -> None:
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

    def give_up(self, key: Key, cause: str, worker: Worker) -> None:
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

    def placed(self, item: Event, worker: Worker) -> Event:
        """Return an event with the device it came from, where there are several."""
        return {**item, "on": worker.job.device.name} if self.many else item

    def log_paths(self, worker: Worker) -> list[Path]:
        """Return the logs a job may have written to, its own first."""
        folder, job = self.records.folder, worker.job
        own = [folder.path / "logs" / job.log] if job.log else []
        return [*own, folder.model_log(job.model)]

    def stop(self) -> None:
        """End every job, all at once and gently: an exception is on its way."""
        cause = sys.exc_info()
        workers, self.workers = self.workers, []
        with ThreadPoolExecutor(max_workers=max(1, len(workers))) as pool:
            list(pool.map(lambda worker: leave(worker.stack, cause), workers))
        for worker in workers:
            self.put_away(worker, "interrupted")


def leave(stack: ExitStack, cause: tuple[Any, Any, Any]) -> None:
    """End a job because of an exception; that it cannot be ended is less than what is on its way."""
    with contextlib.suppress(EnvironmentUnfit):
        stack.__exit__(*cause)
