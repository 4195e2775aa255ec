"""Setting of a measurement: image, models, benchmarks, samples a cell, output folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lines import Line, read

from vldock.common import cache_env
from vldock.common.errors import EvaluationFailed
from vldock.host.containers.spec import Mount, Spec

ROLE = "speed"
PHASES = "phases.jsonl"
RUN_PY = "/workspace/VLMEvalKit/run.py"
EAGER = {"VLDOCK_EAGER_IMPORTS": "1"}
TAIL = 2000  # characters of a failed command's output that are shown


@dataclass(frozen=True)
class Setting:
    """Fixed part of one campaign; `env` and `mounts` are passed to every container."""

    image: str
    docker: str
    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    samples: int | None
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    gpus: str = "none"

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Every model on every benchmark, one model after the other."""
        return [(model, benchmark) for model in self.models for benchmark in self.benchmarks]

    def place(self, name: str) -> Place:
        """Return a new, empty place for the results of a mode."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return Place(self, name, folder)


@dataclass(frozen=True)
class Timed:
    """Successful command: its seconds, and those to the first prediction.

    None means that the first prediction was not recorded.
    """

    seconds: float
    first: float | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Place:
    """A mode's output folder: results and the lines of phases.py."""

    setting: Setting
    name: str
    folder: Path

    @property
    def lines(self) -> list[Line]:
        """Return the lines of the processes that ended so far."""
        return read(self.folder / PHASES)

    def spec(self, argv: Sequence[str], *, env: dict[str, str] | None = None, name: str | None = None) -> Spec:
        """Return a container as started by a careful user.

        It has no network, and its results are owned by the user.
        """
        setting = self.setting
        limit = {"VLMEVAL_SAMPLE_LIMIT": str(setting.samples)} if setting.samples else {}
        return Spec(
            image=setting.image,
            argv=tuple(argv),
            role=ROLE,
            name=name,
            env={**limit, **setting.env, **(env or {})},
            mounts=(Mount(self.folder, cache_env.OUTPUTS), *setting.mounts),
            user=f"{os.getuid()}:{os.getgid()}",
            gpus=setting.gpus,
            network="none",
        )

    def command(self, argv: Sequence[str], *, env: dict[str, str] | None = None) -> Timed:
        """Run a command on this machine to its end.

        Raises EvaluationFailed, with its last output, where it fails.
        """
        before = len(self.lines)
        epoch, begun = time.time(), time.monotonic()
        done = subprocess.run(
            list(argv),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
        seconds = time.monotonic() - begun
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-TAIL:]
            raise EvaluationFailed(f"{self.name}: exit code {done.returncode} of {' '.join(argv)}\n{said}")
        new = self.lines[before:]
        first = min((line.first_answer for line in new if line.first_answer), default=None)
        return Timed(seconds, None if first is None else first - epoch, tuple(new))


def run_py(models: Sequence[str], benchmarks: Sequence[str], *more: str) -> list[str]:
    """Return the arguments of run.py."""
    return ["python", RUN_PY, "--data", *benchmarks, "--model", *models, *more]


def usage(container: Any) -> dict[str, float]:
    """Return peak memory and processor seconds of a container.

    They are read from the running container's control group.
    """
    code = "import json; from vldock.image.process import stats; print(json.dumps(stats.container_usage()))"
    done = container.execute(["python", "-c", code], environment={"VLDOCK_PHASES": ""})
    import json

    found: dict[str, float] = json.loads(done.stdout)
    return found
