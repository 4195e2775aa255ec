"""Which cell a free device takes next: longest first, models kept where they are loaded. Pure and deterministic.

The same `choose` is asked while a run works and when `vldock matrix --dry-run` plays a run through beforehand.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vldock.host.runs.plan import Key

WORTH = 0.9  # a cell is shared by several devices only where all is then done in less than this part of the time


@dataclass(frozen=True)
class Task:
    """A cell that waits: the seconds it is expected to take on one device, and the devices it died on."""

    key: Key
    seconds: float
    avoid: frozenset[str] = frozenset()

    @property
    def model(self) -> str:
        """The model it needs."""
        return self.key[0]


@dataclass(frozen=True)
class DeviceState:
    """A device as the schedule sees it: the model it has loaded, and in how many seconds it is free (0: now)."""

    name: str
    model: str | None = None
    left: float = 0.0
    busy: bool = False


@dataclass(frozen=True)
class Assignment:
    """A cell and the device it goes to; several devices share it."""

    task: Task
    seats: tuple[str, ...]


Loads = Callable[[str], float]  # model -> seconds from nothing to the first answer


def choose(
    name: str, seats: Mapping[str, DeviceState], waiting: Sequence[Task], *, load: Loads, wide: bool = False
) -> Assignment | None:
    """Return what the free device `name` does next, or None: it would only load a model others finish sooner.

    With `wide`, a cell may be given to every free device at once. `waiting` is in the plan's order, which breaks ties.
    """
    mine = [task for task in waiting if name not in task.avoid]
    here = seats[name]
    if not mine:
        return None
    if len(seats) == 1:
        kept = [task for task in mine if task.model == here.model]
        return Assignment((kept or mine)[0], (name,))
    same = [task for task in mine if task.model == here.model]
    if same:
        return Assignment(longest(same), (name,))
    if wide and (spread := _spread(seats, mine, load=load)):
        return spread
    others = [seat for seat in seats.values() if seat.name != name]
    ranked = [
        (found, index, model)
        for index, model in enumerate(dict.fromkeys(task.model for task in mine))
        if (found := _need(model, waiting, others, load=load)) is not None
    ]
    if not ranked:
        return None
    _, _, model = max(ranked, key=lambda item: (item[0], -item[1]))
    return Assignment(longest(task for task in mine if task.model == model), (name,))


def longest(tasks: Iterable[Task]) -> Task:
    """Return the longest, the first of equals."""
    return max(tasks, key=lambda task: task.seconds)


def _need(
    model: str, waiting: Sequence[Task], others: Sequence[DeviceState], *, load: Loads
) -> tuple[float, float] | None:
    """Return how badly a model needs one more device (when it would be done without, its work); None: not at all."""
    tasks = [task for task in waiting if task.model == model]
    there = [seat for seat in others if seat.model == model]
    seconds = [task.seconds for task in tasks]
    if not there or any(task.avoid.issuperset(seat.name for seat in there) for task in tasks):
        return math.inf, sum(seconds)
    free = [seat.left for seat in there]
    without = makespan(free, seconds)
    return (without, sum(seconds)) if makespan([*free, load(model)], seconds) < without else None


def makespan(free: Sequence[float], seconds: Sequence[float]) -> float:
    """Return when the last of these cells ends on devices that are free at those times, the longest begun first."""
    ends = list(free)
    heapq.heapify(ends)
    last = 0.0
    for one in sorted(seconds, reverse=True):
        end = heapq.heappop(ends) + one
        heapq.heappush(ends, end)
        last = max(last, end)
    return last


def _spread(seats: Mapping[str, DeviceState], mine: Sequence[Task], *, load: Loads) -> Assignment | None:
    """Return the longest cell for all free devices, where everything is then done sooner by more than a load."""
    free = [seat.name for seat in seats.values() if not seat.busy and seat.model is None]
    task = longest(mine)
    if len(free) < 2 or task.avoid:
        return None
    rest = [other.seconds + load(other.model) / len(mine) for other in mine if other is not task]
    alone = makespan([0.0] * len(free), [task.seconds + load(task.model), *rest])
    together = load(task.model) + task.seconds / len(free)
    together += makespan([0.0] * len(free), rest)
    worth = together < WORTH * alone and alone - together > load(task.model)
    return Assignment(task, tuple(free)) if worth else None


@dataclass(frozen=True)
class Planned:
    """A cell, where and when (seconds from the start) it is expected; the model's load is before `begins`."""

    key: Key
    seats: tuple[str, ...]
    begins: float
    ends: float


@dataclass(frozen=True)
class Schedule:
    """What is expected of a run, in the order in which cells begin."""

    planned: tuple[Planned, ...]

    @property
    def makespan(self) -> float:
        """Seconds until the last cell has ended."""
        return max((item.ends for item in self.planned), default=0.0)

    def of(self, seat: str) -> list[Planned]:
        """Return the cells of one device."""
        return [item for item in self.planned if seat in item.seats]


@dataclass
class _Simulation:
    """The state of `expected`: devices, what waits, and the ends to come."""

    seats: dict[str, DeviceState]
    waiting: list[Task]
    load: Loads
    wide: bool
    now: float = 0.0
    ends: list[tuple[float, int, tuple[str, ...]]] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)

    def assign(self) -> None:
        for name in self.seats:
            if self.seats[name].busy:
                continue
            seats = {key: replace(seat, left=max(0.0, seat.left - self.now)) for key, seat in self.seats.items()}
            choice = choose(name, seats, self.waiting, load=self.load, wide=self.wide)
            if choice is not None:
                self.begin(choice)

    def begin(self, choice: Assignment) -> None:
        task, names = choice.task, choice.seats
        loaded = len(names) == 1 and self.seats[names[0]].model == task.model
        begins = self.now + (0.0 if loaded else self.load(task.model))
        ends = begins + task.seconds / len(names)
        self.waiting.remove(task)
        self.planned.append(Planned(task.key, names, begins, ends))
        heapq.heappush(self.ends, (ends, len(self.planned), names))
        for name in names:
            self.seats[name] = DeviceState(name, task.model if len(names) == 1 else None, ends, busy=True)


def simulate(names: Sequence[str], waiting: Sequence[Task], *, load: Loads, wide: bool = False) -> Schedule:
    """Return how a run over these devices is expected to go; the same arguments give the same schedule."""
    play = _Simulation({name: DeviceState(name) for name in names}, list(waiting), load, wide)
    play.assign()
    while play.ends:
        play.now, _, free = heapq.heappop(play.ends)
        for name in free:
            play.seats[name] = replace(play.seats[name], busy=False, left=0.0)
        play.assign()
    return Schedule(tuple(play.planned))
