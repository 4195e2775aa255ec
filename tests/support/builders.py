"""Plans, cells, sessions, events and fake containers; every value has a default."""

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
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.find import Session

MODELS = ("llava_v1.5_7b", "llava_v1.5_13b")
BENCHMARKS = ("POPE", "MMStar", "OCRBench")
TIME = "2026-01-02T03:04:05+00:00"
CREATED = "2026-01-02T03:04:05.123456789Z"


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


class FakeHandle:
    """The attributes of the SDK's container that sessions read."""

    def __init__(self, attrs: dict[str, Any], labels: dict[str, str], name: str) -> None:
        self.attrs, self.labels, self.name, self.id = attrs, labels, name, "c" * 64


def a_session(name: str = "default", *, state: str = "running", **values: Any) -> Session:
    """Return a session in a given state of its container.

    Values: health, code, models, owner, outputs.
    """
    health, outputs = values.get("health"), values.get("outputs", "/home/me/outputs")
    attrs = {
        "State": {
            "Status": state,
            "ExitCode": values.get("code", 0),
            **({"Health": {"Status": health}} if health else {}),
        },
        "Config": {"Image": "vldock:4.37"},
        "Created": CREATED,
        "Mounts": [{"Destination": "/workspace/outputs", "Source": outputs}] if outputs else [],
    }
    labels = {
        session_spec.NAME_LABEL: name,
        session_spec.MODELS_LABEL: values.get("models", "llava_v1.5_7b"),
        session_spec.MAKER_LABEL: "me",
        session_spec.OWNER_LABEL: values.get("owner", ""),
    }
    return Session.of(FakeHandle(attrs, labels, session_spec.PREFIX + name))


Script = Iterable[str | Callable[[], None] | None]


@dataclass
class FakeContainer:
    """A container that plays a script and then ends.

    It prints a str, calls a function, and is silent for a second at None. `script` is called with the job and an
    iterator over the benchmarks, as they arrive.
    """

    script: Callable[[DeviceJob, Iterator[str]], Script]
    job: DeviceJob
    ends: Exit = field(default_factory=lambda: Exit(0))
    stderr: Sequence[str] = ()
    benchmarks: list[str] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self._names = queue.Queue[str]()

    def give(self, benchmark: str) -> None:
        """Add a benchmark."""
        self.benchmarks.append(benchmark)
        self._names.put(benchmark)

    def finish(self) -> None:
        """End the benchmarks."""
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
        """Return how the container ends."""
        return self.ends


@dataclass
class FakeExecutor:
    """An executor of the containers that `make` returns; `started` holds them in order."""

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
    def jobs(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return each container's model and benchmarks."""
        return [(container.job.model, tuple(container.benchmarks)) for container in self.started]


def event_line(kind: str, **values: Any) -> str:
    """Return an event as the container prints it."""
    return json.dumps({"event": kind, **values})


def cell_script(out: Path, cell: Cell) -> list[str | Callable[[], None] | None]:
    """Return the script of one cell: start, progress, record, end."""
    names = {"model": cell.model, "benchmark": cell.benchmark}
    return [
        event_line("cell_start", **names, samples=cell.samples),
        event_line("progress", **names, done=cell.predictions, total=cell.samples),
        lambda: cell.save(out / cell.model / cell.benchmark) and None,
        event_line("cell_end", kept=False, **asdict(cell)),
    ]


def container_script(out: Path, job: DeviceJob, names: Iterator[str], **values: Any) -> Script:
    """Yield the script of a container that evaluates every benchmark with success."""
    yield event_line("start", model=job.model, cells=None, device="cpu", standin=True)
    yield event_line("model_loaded", model=job.model, seconds=0.5)
    for name in names:
        yield from cell_script(out, a_cell(job.model, name, **values))
    yield event_line("end", model=job.model, succeeded=0, failed=0, kept=0)


def good_container(out: Path, job: DeviceJob, **values: Any) -> FakeContainer:
    """Return a container that evaluates every benchmark with success."""
    return FakeContainer(lambda job, names: container_script(out, job, names, **values), job)


def dying_container(out: Path, job: DeviceJob, poison: str, end: Exit, **values: Any) -> FakeContainer:
    """Return a container that dies at the benchmark `poison`."""

    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        yield event_line("model_loaded", model=job.model, seconds=0.5)
        for name in names:
            if name == poison:
                yield event_line("cell_start", model=job.model, benchmark=name)
                return
            yield from cell_script(out, a_cell(job.model, name))

    return FakeContainer(script, job, end, **values)
