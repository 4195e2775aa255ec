"""Plans, cells and events as the tests need them: every value has a default, a test names what matters to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vldock.common.cell import Cell
from vldock.host.containers import Exit, Line
from vldock.host.plan import Plan

MODELS = ("llava_v1.5_7b", "llava_v1.5_13b")
BENCHMARKS = ("POPE", "MMStar", "OCRBench")
TIME = "2026-01-02T03:04:05+00:00"


def a_plan(**values: Any) -> Plan:
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
    return Plan(**{**defaults, **values})


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


@dataclass
class FakeContainer:
    """Says its lines, does what a line stands for, and ends as told; None is a second of silence."""

    script: Sequence[str | Callable[[], None] | None]
    ends: Exit = field(default_factory=lambda: Exit(0))
    stderr: Sequence[str] = ()

    def lines(self) -> Iterator[Line | None]:
        """Yield the script's lines."""
        for entry in self.script:
            if callable(entry):
                entry()
            else:
                yield None if entry is None else Line("stdout", entry)
        yield from (Line("stderr", text) for text in self.stderr)

    def wait(self) -> Exit:
        """Return the end."""
        return self.ends


@dataclass
class FakeLauncher:
    """Launches the containers it was given, in order, and notes for which benchmarks."""

    make: Callable[[str, Sequence[str]], FakeContainer]
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @contextmanager
    def __call__(self, model: str, benchmarks: Sequence[str]) -> Iterator[FakeContainer]:
        """Yield one container."""
        self.asked.append((model, tuple(benchmarks)))
        yield self.make(model, benchmarks)


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


def good_container(out: Path, model: str, benchmarks: Sequence[str], **values: Any) -> FakeContainer:
    """Return a container in which every benchmark succeeds."""
    script: list[str | Callable[[], None] | None] = [
        says("start", model=model, cells=len(benchmarks), device="cpu", standin=True),
        says("model_loaded", model=model, seconds=0.5),
    ]
    for name in benchmarks:
        script += evaluates(out, a_cell(model, name, **values))
    return FakeContainer([*script, says("end", model=model, succeeded=len(benchmarks), failed=0, kept=0)])
