"""Seconds by phase; a nested phase is not counted for its caller."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

START_UP = "start-up"
ON_DEVICE = ("vision", "prefill", "decode")  # synchronised before and after, or later phases count the GPU's work


@dataclass
class Spent:
    """Time of a phase so far.

    `cpu` is of all threads of the process during it.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    count: int = 0


@dataclass
class Stopwatch:
    """Times by phase.

    `phases` has the main thread's, `beside` those of other threads.
    `began`: when the process began, on the clock `now`. The time until the first phase is `start-up`.
    """

    began: float
    now: Callable[[], float] = time.monotonic
    cpu: Callable[[], float] = time.process_time
    phases: dict[str, Spent] = field(default_factory=dict)
    beside: dict[str, Spent] = field(default_factory=dict)
    _threads: threading.local = field(default_factory=threading.local)

    @contextmanager
    def within(self, phase: str) -> Iterator[None]:
        """Count the time of the block for `phase`, without nested phases."""
        self._end_start_up()
        inside: list[tuple[float, float]] = self._threads.__dict__.setdefault("inside", [])
        _wait_for_device(phase)
        begun, used = self.now(), self.cpu()
        inside.append((0.0, 0.0))
        try:
            yield
        finally:
            _wait_for_device(phase)
            seconds, cpu = self.now() - begun, self.cpu() - used
            others = inside.pop()
            if inside:
                inside[-1] = (inside[-1][0] + seconds, inside[-1][1] + cpu)
            self._add(phase, seconds - others[0], cpu - others[1])

    def seconds(self) -> float:
        """Return the seconds since the process began."""
        return self.now() - self.began

    def _end_start_up(self) -> None:
        if START_UP not in self.phases:
            self.phases[START_UP] = Spent(self.seconds(), self.cpu(), 1)

    def _add(self, phase: str, seconds: float, cpu: float) -> None:
        main = threading.current_thread() is threading.main_thread()
        spent = (self.phases if main else self.beside).setdefault(phase, Spent())
        spent.seconds += seconds
        spent.cpu += cpu
        spent.count += 1


def _wait_for_device(phase: str) -> None:
    torch = sys.modules.get("torch")
    if phase in ON_DEVICE and torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
