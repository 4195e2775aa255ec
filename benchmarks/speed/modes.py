"""Modes of evaluating all cells, each measured as a Measured.

a  one `docker run` a cell          c   one run.py with all models and benchmarks   e1  c with our batches
b  one `docker exec` a cell         d   b with a session's worker                   e2  d2 with our batches
                                    d2  `vldock matrix`                             e3  d with our batches

`+eager` is VLMEvalKit importing as it does by itself (VLDOCK_EAGER_IMPORTS=1).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lines
from setting import EAGER, Place, Setting, Timed, run_py, usage

from vldock.common.errors import EvaluationFailed
from vldock.host.containers import lifecycle

BATCHED = ("--engine", "batched")
STOP_SECONDS = 20


@dataclass
class Measured:
    """Seconds of one mode: start, cells and first answers.

    `ready` are before the first cell, `cells` of each cell, `firsts` to the first answer.
    """

    mode: str
    ready: float = 0.0
    cells: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    answers: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    phases_cpu: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    memory_peak: float | None = None
    cpu_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of all cells, without getting ready."""
        return sum(self.cells)

    def add(self, timed: Timed) -> None:
        """Add one command."""
        self.cells.append(round(timed.seconds, 3))
        if timed.first is not None:
            self.firsts.append(round(timed.first, 3))

    def close(self, place: Place, *, cpu_seconds: float) -> None:
        """Add up the phases recorded by the processes."""
        noted = place.lines
        self.phases, self.phases_cpu = lines.sum_phases(noted), lines.sum_phases(noted, cpu=True)
        self.counts = lines.count_phases(noted)
        self.answers = sum(line.answers for line in noted if "worker.py" not in line.argv[0])
        self.memory_peak = max(filter(None, (self.memory_peak, lines.peak(noted))), default=None)
        self.cpu_seconds = round(cpu_seconds, 2)


Ask = Callable[[str, str], Timed]
CellMode = Callable[[Setting, Measured], AbstractContextManager[Ask]]


def _docker_run(env: dict[str, str]) -> CellMode:
    @contextmanager
    def opened(setting: Setting, measured: Measured) -> Iterator[Ask]:
        place, used = setting.place(measured.mode), [0.0]

        def ask(model: str, benchmark: str) -> Timed:
            timed = place.command(place.spec(run_py([model], [benchmark]), env=env).docker_argv(setting.docker))
            used[0] += timed.lines[-1].cpu_seconds or 0.0
            return timed

        yield ask
        measured.close(place, cpu_seconds=used[0])

    return opened


def _docker_exec(env: dict[str, str], *more: str, session: bool = False) -> CellMode:
    @contextmanager
    def opened(setting: Setting, measured: Measured) -> Iterator[Ask]:
        place, begun = setting.place(measured.mode), time.monotonic()
        with lifecycle.run_container(_client(), place.spec(_command(setting, session=session), env=env)) as container:
            if session:
                _wait_until_ready(container)
            measured.ready = round(time.monotonic() - begun, 3)

            def ask(model: str, benchmark: str) -> Timed:
                argv = [setting.docker, "exec", container.id, *run_py([model], [benchmark], *more)]
                return place.command(argv)

            yield ask
            used = usage(container)
            measured.memory_peak = used["memory_peak"]
            if session:
                container.execute(["python", "-m", "vldock.image", "session", "stop"])
                container.wait()
        measured.close(place, cpu_seconds=used["cpu_seconds"])

    return opened


def _command(setting: Setting, *, session: bool) -> list[str]:
    if not session:
        return ["sleep", "infinity"]
    models = [word for model in setting.models for word in ("--model", model)]
    return ["python", "-m", "vldock.image", "session", "serve", *models]


def _wait_until_ready(container: Any) -> None:
    said = []
    for line in container.lines():
        if line is None:
            continue
        said.append(line.text)
        if line.text.startswith('{"event": "ready"'):
            return
    raise EvaluationFailed("the session ended before it was ready\n" + "\n".join(said[-20:]))


def _client() -> Any:
    from vldock.host.docker_engine import client as docker_client

    return docker_client.connect()


def one_run(setting: Setting, measured: Measured, env: dict[str, str], *more: str) -> None:
    """Evaluate all cells by one run.py in one container."""
    place = setting.place(measured.mode)
    argv = run_py(setting.models, setting.benchmarks, *more)
    timed = place.command(place.spec(argv, env=env).docker_argv(setting.docker))
    measured.add(timed)
    measured.close(place, cpu_seconds=timed.lines[-1].cpu_seconds or 0.0)


def matrix(setting: Setting, measured: Measured, *more: str) -> None:
    """Evaluate all cells by `vldock matrix`, from its start to its report."""
    place = setting.place(measured.mode)
    argv = [str(Path(sys.executable).with_name("vldock")), "matrix", "--image", setting.image, "--fresh"]
    argv += ["--models", ",".join(setting.models), "--benchmarks", ",".join(setting.benchmarks)]
    argv += ["--samples", str(setting.samples or "all"), "--standin", "--network", "none", "--gpus", setting.gpus]
    timed = place.command([*argv, "--outputs", str(place.folder), *more])
    measured.add(timed)
    measured.close(place, cpu_seconds=sum(line.cpu_seconds or 0.0 for line in timed.lines))


CELL_MODES: dict[str, CellMode] = {
    "a": _docker_run({}),
    "a+eager": _docker_run(EAGER),
    "b": _docker_exec({}),
    "b+eager": _docker_exec(EAGER),
    "d": _docker_exec({}, session=True),
    "e3": _docker_exec({}, *BATCHED, session=True),
}
WHOLE_MODES: dict[str, Callable[[Setting, Measured], None]] = {
    "c": lambda setting, measured: one_run(setting, measured, {}),
    "c+eager": lambda setting, measured: one_run(setting, measured, EAGER),
    "e1": lambda setting, measured: one_run(setting, measured, {}, *BATCHED),
    "d2": matrix,
    "e2": lambda setting, measured: matrix(setting, measured, *BATCHED),
}
MODES = tuple(sorted([*CELL_MODES, *WHOLE_MODES]))
