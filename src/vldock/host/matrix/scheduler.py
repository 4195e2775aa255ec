"""Scheduler of cells on free devices. Pure and deterministic.

Longest first, models kept where they are loaded. A run and the simulation of `vldock matrix --dry-run` use the same
`choose`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vldock.host.runs.plan import Key

WORTH = 0.9  # a cell is shared by several devices only where all cells then end in less than this part of the time


@dataclass(frozen=True)
class Task:
    """Waiting cell: expected seconds, and devices it died on.

    The seconds are on one device.
    """

    key: Key
    seconds: float
    avoid: frozenset[str] = frozenset()

    @property
    def model(self) -> str:
        """Model of the cell."""
        return self.key[0]


@dataclass(frozen=True)
class DeviceState:
    """State of a device.

    The loaded model, and the seconds until it is free (0: now).
    """

    name: str
    model: str | None = None
    left: float = 0.0
    busy: bool = False


@dataclass(frozen=True)
class Assignment:
    """A cell and its device; several devices share it."""

    task: Task
    devices: tuple[str, ...]


Loads = Callable[[str], float]  # model -> seconds from nothing to the first answer


def choose(
    name: str, devices: Mapping[str, DeviceState], waiting: Sequence[Task], *, load: Loads, share: bool = False
) -> Assignment | None:
    """Return the next cell of the free device `name`.

    None where it would only load a model that others finish sooner.

    With `share`, a cell may go to every free device at once. `waiting` is in the plan's order, which breaks ties.
    """
    mine = [task for task in waiting if name not in task.avoid]
    if not mine:
        return None
    loaded = [task for task in mine if task.model == devices[name].model]
    if len(devices) == 1:
        return Assignment((loaded or mine)[0], (name,))
    if loaded:
        return Assignment(longest(loaded), (name,))
    if share and (shared := _share(devices, mine, load=load)):
        return shared
    task = _neediest(name, devices, mine, waiting, load=load)
    return Assignment(task, (name,)) if task else None


def _neediest(
    name: str, devices: Mapping[str, DeviceState], mine: Sequence[Task], waiting: Sequence[Task], *, load: Loads
) -> Task | None:
    """Return the longest cell of the model that most needs one more device.

    None where no model does.
    """
    others = [device for device in devices.values() if device.name != name]
    needs = {model: _need(model, waiting, others, load=load) for model in dict.fromkeys(task.model for task in mine)}
    ranked = [(need, model) for model, need in needs.items() if need is not None]
    if not ranked:
        return None
    _, model = max(ranked, key=lambda item: item[0])  # the first of equals
    return longest(task for task in mine if task.model == model)


def longest(tasks: Iterable[Task]) -> Task:
    """Return the longest task, the first of equals."""
    return max(tasks, key=lambda task: task.seconds)


def _need(
    model: str, waiting: Sequence[Task], others: Sequence[DeviceState], *, load: Loads
) -> tuple[float, float] | None:
    """Return a model's need for one more device: (end without it, total work).

    None where it has no need.
    """
    tasks = [task for task in waiting if task.model == model]
    holders = [device for device in others if device.model == model]
    seconds = [task.seconds for task in tasks]
    if not holders or any(task.avoid.issuperset(device.name for device in holders) for task in tasks):
        return math.inf, sum(seconds)
    free = [device.left for device in holders]
    without = makespan(free, seconds)
    return (without, sum(seconds)) if makespan([*free, load(model)], seconds) < without else None


def makespan(free: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the end of the last of these cells, longest first.

    `free` are the times at which the devices become free.
    """
    ends = list(free)
    heapq.heapify(ends)
    last = 0.0
    for duration in sorted(seconds, reverse=True):
        end = heapq.heappop(ends) + duration
        heapq.heappush(ends, end)
        last = max(last, end)
    return last


def _share(devices: Mapping[str, DeviceState], mine: Sequence[Task], *, load: Loads) -> Assignment | None:
    """Return the longest cell for all free devices, or None.

    Only where all cells then end sooner by more than a load.
    """
    free = [device.name for device in devices.values() if not device.busy and device.model is None]
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
    """Expected devices and time of a cell, in seconds from the start.

    The model's load is before `begins`.
    """

    key: Key
    devices: tuple[str, ...]
    begins: float
    ends: float


@dataclass(frozen=True)
class Schedule:
    """Expected course of a run, in order of its cells' starts."""

    planned: tuple[Planned, ...]

    @property
    def makespan(self) -> float:
        """Seconds until the last cell has ended."""
        return max((item.ends for item in self.planned), default=0.0)

    def of(self, device: str) -> list[Planned]:
        """Return the cells of one device."""
        return [item for item in self.planned if device in item.devices]


@dataclass
class _Simulation:
    """State of `simulate`: devices, waiting cells, and the ends to come."""

    devices: dict[str, DeviceState]
    waiting: list[Task]
    load: Loads
    share: bool
    now: float = 0.0
    ends: list[tuple[float, int, tuple[str, ...]]] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)

    def assign(self) -> None:
        for name in self.devices:
            if self.devices[name].busy:
                continue
            states = {key: replace(one, left=max(0.0, one.left - self.now)) for key, one in self.devices.items()}
            choice = choose(name, states, self.waiting, load=self.load, share=self.share)
            if choice is not None:
                self.begin(choice)

    def begin(self, choice: Assignment) -> None:
        task, names = choice.task, choice.devices
        loaded = len(names) == 1 and self.devices[names[0]].model == task.model
        begins = self.now + (0.0 if loaded else self.load(task.model))
        ends = begins + task.seconds / len(names)
        self.waiting.remove(task)
        self.planned.append(Planned(task.key, names, begins, ends))
        heapq.heappush(self.ends, (ends, len(self.planned), names))
        for name in names:
            self.devices[name] = DeviceState(name, task.model if len(names) == 1 else None, ends, busy=True)


def simulate(names: Sequence[str], waiting: Sequence[Task], *, load: Loads, share: bool = False) -> Schedule:
    """Return the expected course of a run over these devices.

    Equal arguments give an equal course.
    """
    simulation = _Simulation({name: DeviceState(name) for name in names}, list(waiting), load, share)
    simulation.assign()
    while simulation.ends:
        simulation.now, _, free = heapq.heappop(simulation.ends)
        for name in free:
            simulation.devices[name] = replace(simulation.devices[name], busy=False, left=0.0)
        simulation.assign()
    return Schedule(tuple(simulation.planned))
