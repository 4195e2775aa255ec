"""A real session for tests/docker/test_session.py: started and used by `vldock session`, slowed down, looked into."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from docker.errors import APIError

from support import wait_until
from vldock.host.containers.lifecycle import Completed, Container
from vldock.host.sessions import spec as session_spec

VLDOCK = (sys.executable, "-c", "from vldock.host.cli.main import main; main()")
MODEL = "llava_v1.5_7b"
USER = 12345
SAMPLES = 10
SECONDS = 900  # a ceiling; a busy machine is never near it
GATE = Path(__file__).parents[1] / "image/question_gate.py"
MARK = "/tmp/held"


@dataclass(frozen=True)
class Live:
    """A session by its name, and the folder its results are in."""

    client: Any
    image: str
    name: str
    outputs: Path

    @property
    def handle(self) -> Any:
        """Its container, as the SDK has it now."""
        return self.client.containers.get(session_spec.container_name(self.name))

    def start(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Start it: a stand-in, another user, a read-only root, no network."""
        given = ("--standin", "--model", MODEL, "--image", self.image, "--outputs", str(self.outputs), "--read-only")
        where = ("--user", f"{USER}:{USER}", "--network", "none", "--gpus", "none", "-e", "OMP_NUM_THREADS=1")
        return self.vldock("start", *given, *where, *more)

    def vldock(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `vldock session ACTION NAME ...` to its end."""
        argv = self.words(action, *words)
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)

    def vldock_of(self, action: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `vldock session ACTION`, which names no session, to its end."""
        argv = [*VLDOCK, "session", action, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)

    def words(self, action: str, *words: str) -> list[str]:
        """Return the words of a command."""
        return [*VLDOCK, "session", action, self.name, *words]

    @contextmanager
    def evaluates(self, benchmark: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Yield `vldock session eval` at work."""
        argv = self.words("eval", "--data", benchmark, "--model", MODEL, *words)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()

    def inside(self, *argv: str, user: str = "") -> Completed:
        """Run a command in its container, as `docker exec` does."""
        return Container(self.handle, iter(())).execute(["timeout", str(SECONDS), *argv], user=user)

    def run_py(self, *words: str) -> Completed:
        """Run the line a user types after `docker exec CONTAINER`."""
        return self.inside("python", session_spec.RUN_PY, "--model", MODEL, *words)

    def status(self) -> dict[str, Any]:
        """Return what it says of itself; nothing while it does not answer."""
        text = self.vldock("status", "--json").stdout
        return dict(json.loads(text)) if text else {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep its worker's fifth answer to any run back, so that a test can come in between; see `let_go`."""
        worker = Path(self.status()["socket"]).with_name("worker.sock")
        words = ["python", "-c", GATE.read_text(encoding="utf-8"), str(worker), MARK]
        made = self.client.api.exec_create(self.handle.id, words)["Id"]
        self.client.api.exec_start(made, detach=True)
        wait_until.until(lambda: self.inside("test", "-e", MARK).exit_code == 0)
        try:
            yield
        finally:
            with contextlib.suppress(APIError):  # a test that killed the container
                self.let_go()
                wait_until.until(lambda: self.client.api.exec_inspect(made)["Running"] is False)

    def let_go(self) -> None:
        """Hand on every answer from now on."""
        self.inside("rm", "-f", MARK)

    def asked(self, benchmark: str) -> int:
        """Return how many samples of a benchmark were asked so far, the one under way not counted."""
        path = self.file(benchmark, "_prompts.jsonl")
        return len(path.read_text().splitlines()) if path.exists() else 0

    def is_mid_cell(self, benchmark: str) -> None:
        """Wait until some samples of a benchmark have predictions, and not all."""
        wait_until.until(lambda: self.asked(benchmark) >= 3, seconds=SECONDS)
        assert self.asked(benchmark) < SAMPLES - 2

    def is_at_rest(self) -> None:
        """Wait until nothing runs in it."""
        wait_until.until(lambda: self.status().get("running") == [])

    def predicted(self, benchmark: str) -> list[str]:
        """Return the samples of a finished cell, one entry for each prediction."""
        rows: Sequence[Any] = list(openpyxl.load_workbook(self.file(benchmark, ".xlsx")).active.values)
        column, prediction = rows[0].index("index"), rows[0].index("prediction")
        return [str(row[column]) for row in rows[1:] if row[prediction] is not None]

    def file(self, benchmark: str, suffix: str) -> Path:
        """Return a file of VLMEvalKit's."""
        return self.outputs / "STAND-IN" / MODEL / f"{MODEL}_{benchmark}{suffix}"
