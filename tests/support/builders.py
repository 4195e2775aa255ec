"""Plans, cells and events as the tests need them: every value has a default, a test names what matters to it."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vldock.common.cell_record import Cell
from vldock.host.containers.lifecycle import Exit, Line
from vldock.host.matrix.executor import DeviceJob
from vldock.host.runs.plan import RunPlan

MODELS = ("llava_v1.5_7b", "llava_v1.5_13b")
BENCHMARKS = ("POPE", "MMStar", "OCRBench")
TIME = "2026-01-02T03:04:05+00:00"


def a_plan(**values: Any) -> RunPlan:
    """Return a plan of two models and three benchmarks on stand-ins."""
    defaults: dict[str, Any] = {
        "models": MODELS,
        "benchmarks": BENCHMARKS,
        "samples": 10,
        "standin": True,
        "image": "vldock:4.37",
        "image_id": "sha256:" + "1" * 64,
        "gpus": "none",
        "data": None,
        "cache": None,
    }
    return RunPlan(**{**defaults, **values})


def a_cell(model: str = "llava_v1.5_7b", benchmark: str = "POPE", **values: Any) -> Cell:
    """Return a cell that succeeded with a score of 90."""
    defaults: dict[str, Any] = {
        "status": "succeeded",
        "standin": True,
        "samples": 10,
        "predictions": 10,
        "score": 90.0,
        "metric": "Overall",
        "metrics": {"Overall": 90.0},
        "judge": "exact_matching",
        "error": None,
        "limit": 10,
        "seconds": 1.5,
        "started": TIME,
        "finished": TIME,
        "attempt": 1,
        "device": "cpu",
        "dtype": "float32",
        "attention": "sdpa",
        "identity": {},
    }
    return Cell(model=model, benchmark=benchmark, **{**defaults, **values})


Script = Iterable[str | Callable[[], None] | None]


@dataclass
class FakeContainer:
    """Says its lines, does what a line stands for, and ends as told; None is a second of silence.

    `script` is called with the job and an iterator of the benchmarks it is given, as they are given.
    """

    script: Callable[[DeviceJob, Iterator[str]], Script]
    job: DeviceJob
    ends: Exit = field(default_factory=lambda: Exit(0))
    stderr: Sequence[str] = ()
    given: list[str] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._names = queue.Queue[str]()

    def give(self, benchmark: str) -> None:
        """Take one more benchmark."""
        self.given.append(benchmark)
        self._names.put(benchmark)

    def finish(self) -> None:
        """Take the end of them."""
        self._names.put("")

    def lines(self) -> Iterator[Line | None]:
        """Yield the script's lines."""
        for entry in self.script(self.job, iter(lambda: self._names.get(timeout=300), "")):
            if self.closed:
                return
            if callable(entry):
                entry()
            else:
                yield None if entry is None else Line("stdout", entry)
        yield from (Line("stderr", text) for text in self.stderr)

    def wait(self) -> Exit:
        """Return the end."""
        return self.ends


@dataclass
class FakeExecutor:
    """Starts the containers that `make` returns, and keeps them in the order in which they began."""

    make: Callable[[DeviceJob], FakeContainer]
    started: list[FakeContainer] = field(default_factory=list)

    @contextmanager
    def start(self, job: DeviceJob) -> Iterator[FakeContainer]:
        """Yield one container."""
        made = self.make(job)
        self.started.append(made)
        try:
            yield made
        finally:
            made.closed = True

    @property
    def asked(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return each container's model and benchmarks."""
        return [(one.job.model, tuple(one.given)) for one in self.started]


def says(kind: str, **values: Any) -> str:
    """Return an event as the container prints it."""
    return json.dumps({"event": kind, **values})


def evaluates(out: Path, cell: Cell) -> list[str | Callable[[], None] | None]:
    """Return the script of one cell: it starts, progresses, leaves its record, and ends."""
    names = {"model": cell.model, "benchmark": cell.benchmark}
    return [
        says("cell_start", **names, samples=cell.samples),
        says("progress", **names, done=cell.predictions, total=cell.samples),
        lambda: cell.save(out / cell.model / cell.benchmark) and None,
        says("cell_end", kept=False, **asdict(cell)),
    ]


def works(out: Path, job: DeviceJob, names: Iterator[str], **values: Any) -> Script:
    """Yield the script of a container in which every benchmark succeeds."""
    yield says("start", model=job.model, cells=None, device="cpu", standin=True)
    yield says("model_loaded", model=job.model, seconds=0.5)
    for name in names:
        yield from evaluates(out, a_cell(job.model, name, **values))
    yield says("end", model=job.model, succeeded=0, failed=0, kept=0)


def good_container(out: Path, job: DeviceJob, **values: Any) -> FakeContainer:
    """Return a container in which every benchmark succeeds."""
    return FakeContainer(lambda job, names: works(out, job, names, **values), job)


def poisoned(out: Path, job: DeviceJob, poison: str, end: Exit, **values: Any) -> FakeContainer:
    """Return a container that dies when it comes to `poison`."""

    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        yield says("model_loaded", model=job.model, seconds=0.5)
        for name in names:
            if name == poison:
                yield says("cell_start", model=job.model, benchmark=name)
                return
            yield from evaluates(out, a_cell(job.model, name))

    return FakeContainer(script, job, end, **values)
