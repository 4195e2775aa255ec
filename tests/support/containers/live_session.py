"""Real session for tests/docker/session.

It is started and used by `vldock session`, slowed down, and inspected.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from docker.errors import APIError

from support import wait_until
from support.paths import VLDOCK
from vldock.host.containers.lifecycle import Completed, Container
from vldock.host.sessions import spec as session_spec

MODEL = "llava_v1.5_7b"
USER = 12345
SAMPLES = 10
SECONDS = 900  # a ceiling; a busy machine is never near it
GATE = Path(__file__).parents[2] / "image/question_gate.py"
MARK = "/tmp/held"


@dataclass(frozen=True)
class LiveSession:
    """A session by its name, and the folder of its results."""

    client: Any
    image: str
    name: str
    outputs: Path

    @property
    def handle(self) -> Any:
        """The session's container, as the SDK has it now."""
        return self.client.containers.get(session_spec.container_name(self.name))

    def start(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Start the session: a stand-in, another user, a read-only root, no network."""
        model = ("--standin", "--model", MODEL, "--image", self.image, "--outputs", str(self.outputs), "--read-only")
        where = ("--user", f"{USER}:{USER}", "--network", "none", "--gpus", "none", "-e", "OMP_NUM_THREADS=1")
        return self.vldock("start", *model, *where, *more)

    def vldock(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `vldock session ACTION NAME ...` to its end."""
        argv = self.words(action, *words)
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)

    def vldock_session(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `vldock session ACTION ...`, without a session's name, to its end."""
        argv = [*VLDOCK, "session", action, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)

    def words(self, action: str, *words: str) -> list[str]:
        """Return the argv of `vldock session ACTION NAME ...`."""
        return [*VLDOCK, "session", action, self.name, *words]

    @contextmanager
    def evaluating(self, benchmark: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Yield a running `vldock session eval`."""
        argv = self.words("eval", "--data", benchmark, "--model", MODEL, *words)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()

    def inside(self, *argv: str, user: str = "") -> Completed:
        """Run a command in the container, as `docker exec` does."""
        return Container(self.handle, iter(())).execute(["timeout", str(SECONDS), *argv], user=user)

    def run_py(self, *words: str) -> Completed:
        """Run run.py as a user does after `docker exec CONTAINER`."""
        return self.inside("python", session_spec.RUN_PY, "--model", MODEL, *words)

    def status(self) -> dict[str, Any]:
        """Return the session's status; an empty dict while it does not answer."""
        text = self.vldock("status", "--json").stdout
        return dict(json.loads(text)) if text else {}

    @contextmanager
    def hold_answers(self) -> Iterator[None]:
        """Hold back the worker's fifth answer to each run.

        The hold ends with the block or by `release_answers`.
        """
        worker = Path(self.status()["socket"]).with_name("worker.sock")
        words = ["python", "-c", GATE.read_text(encoding="utf-8"), str(worker), MARK]
        made = self.client.api.exec_create(self.handle.id, words)["Id"]
        self.client.api.exec_start(made, detach=True)
        wait_until.until(lambda: self.inside("test", "-e", MARK).exit_code == 0)
        try:
            yield
        finally:
            with contextlib.suppress(APIError):  # a test that killed the container
                self.release_answers()
                wait_until.until(lambda: self.client.api.exec_inspect(made)["Running"] is False)

    def release_answers(self) -> None:
        """Pass on every answer from now on."""
        self.inside("rm", "-f", MARK)

    def count_asked(self, benchmark: str) -> int:
        """Return the number of a benchmark's samples answered so far."""
        path = self.file(benchmark, "_prompts.jsonl")
        return len(path.read_text().splitlines()) if path.exists() else 0

    def wait_until_mid_cell(self, benchmark: str) -> None:
        """Wait until some but not all samples of a benchmark have predictions."""
        wait_until.until(lambda: self.count_asked(benchmark) >= 3, seconds=SECONDS)
        assert self.count_asked(benchmark) < SAMPLES - 2

    def wait_until_idle(self) -> None:
        """Wait until no evaluation runs in the session."""
        wait_until.until(lambda: self.status().get("running") == [])

    def predicted(self, benchmark: str) -> list[str]:
        """Return the sample of each prediction of a finished cell."""
        rows: Sequence[Any] = list(openpyxl.load_workbook(self.file(benchmark, ".xlsx")).active.values)
        column, prediction = rows[0].index("index"), rows[0].index("prediction")
        return [str(row[column]) for row in rows[1:] if row[prediction] is not None]

    def file(self, benchmark: str, suffix: str) -> Path:
        """Return the path of a file that VLMEvalKit writes."""
        return self.outputs / "STAND-IN" / MODEL / f"{MODEL}_{benchmark}{suffix}"
