"""A dispatcher over fake containers, for tests of cells, deaths and devices."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from support.builders import MODELS, FakeContainer, FakeExecutor, a_plan
from vldock.host.containers.lifecycle import Exit
from vldock.host.matrix.dispatcher import Dispatcher
from vldock.host.matrix.estimates import Estimates
from vldock.host.matrix.executor import DeviceJob
from vldock.host.runs.cell_records import CellRecords
from vldock.host.runs.devices import Device
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan
from vldock.host.runs.record import JobRecord

MODEL = MODELS[0]
ONE = (Device("cpu0"),)
TWO = (Device("cpu0"), Device("cpu1"))


class Bench:
    """A dispatcher over fake containers, with its events and job records."""

    def __init__(
        self, out: Path, make: Callable[[DeviceJob], FakeContainer], *, places: Sequence[Device] = ONE, **plan: Any
    ) -> None:
        self.out = out
        self.events: list[dict[str, Any]] = []
        self.jobs: list[JobRecord] = []
        self.executor = FakeExecutor(make)
        self.plan: RunPlan = a_plan(**{"models": (MODEL,), **plan})
        clock = itertools.count(0, 10)
        self.dispatcher = Dispatcher(
            CellRecords(self.plan, RunFolder(out)),
            places,
            self.executor,
            self.estimates(),
            self.events.append,
            self.jobs.append,
            clock=lambda: float(next(clock)),
        )

    def estimates(self) -> Estimates:
        """Return equal cells, long beside a load."""
        return Estimates(dict.fromkeys(self.plan.cells, 1000.0), dict.fromkeys(self.plan.models, 1.0))

    def result(self) -> dict[str, str]:
        """Run, and return {benchmark: 'succeeded' or the error} of the first model's cells."""
        cells = self.dispatcher.run(self.plan.cells)
        return {key[1]: cell.error or cell.status for key, cell in cells.items() if key[0] == MODEL}

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [item for item in self.events if item["event"] == kind]


def silence(until: Callable[[], bool]) -> Iterator[None]:
    """Yield silence until a condition holds."""
    while not until():
        time.sleep(0.001)
        yield None


def ended(job: DeviceJob, end: Exit, *stderr: str, says_first: Sequence[str | None] = ()) -> FakeContainer:
    """Return a container that ends before its first cell."""
    return FakeContainer(lambda job, names: iter(says_first), job, end, stderr)
