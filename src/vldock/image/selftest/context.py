"""Where a self-test works: its folder, its device, the environment of the commands, and how one is run."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import EvaluationFailed

PYTHON = sys.executable
TORCHRUN = str(Path(sys.executable).with_name("torchrun"))
IMAGE = (PYTHON, "-m", "vldock.image")
FORGOTTEN = (
    *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONUSERBASE", "VLMEVAL_SAMPLE_LIMIT", "WORKSPACE_ROOT", "OPENAI_API_KEY"),
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS"),
)
LONGEST_WORD = 40  # of a command that is named; a path of the temporary folder is longer
ERROR = re.compile(r"(error: |FAILED |[\w.]+(Error|Exception|Diverged|Unfit|Refused|Lost)\b:? )")
SECONDS_TO_END = 10.0


class NeedsGpu(Exception):
    """A step that the CPU cannot do; it is left out, by name."""


@dataclass(frozen=True)
class StepResult:
    """What a step showed: one line for a person, and its figures."""

    line: str
    figures: Mapping[str, object]


@dataclass(frozen=True)
class Done:
    """A command that ended: its exit status, standard output, and standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Bench:
    """Everything the steps share. `limit` is the samples of each cell, `seconds` the longest a command may take."""

    folder: Path
    gpu: bool
    quick: bool
    limit: int
    seconds: float

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a command: the caller's without what would change the answers."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in FORGOTTEN and not name.startswith(("VLDOCK_", "SLURM_", "PMI"))
        }
        (self.folder / "tmp").mkdir(exist_ok=True)
        return {
            **kept,
            "VLDOCK_STANDIN": "1",
            "VLDOCK_OUTPUTS": str(self.folder / "outputs"),
            "VLDOCK_FEATURES": str(self.folder / "features"),
            "VLDOCK_DEVICE": "cuda" if self.gpu else "cpu",
            "CUDA_VISIBLE_DEVICES": self.card() if self.gpu else "-1",
            "HF_HUB_OFFLINE": "1",
            "TMPDIR": str(self.folder / "tmp"),
            **(more or {}),
        }

    def card(self) -> str:
        """Return the one GPU that is used: the first that is visible."""
        return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() or "0"

    def run(self, log: str, argv: Sequence[str], *, more: Mapping[str, str] | None = None) -> Done:
        """Run a command to its end, its output in logs/LOG.out and .err; raise EvaluationFailed where it fails."""
        with self.started(log, argv, more=more) as process:
            try:
                code = process.wait(self.seconds)
            except subprocess.TimeoutExpired as error:
                raise EvaluationFailed(f"{log} took more than {self.seconds:.0f} s: {said(argv)}") from error
            finally:
                end(process)
        done = Done(code, self.text(f"{log}.out"), self.text(f"{log}.err"))
        if code:
            raise EvaluationFailed(f"{said(argv)} ended with {code} (logs/{log}.err): {cause(done.err or done.out)}")
        return done

    def started(
        self, log: str, argv: Sequence[str], *, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{log}.out").open("wb") as out, (logs / f"{log}.err").open("wb") as err:
            return subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder,
                env=self.environ(more), start_new_session=True,
            )  # fmt: skip

    def text(self, name: str) -> str:
        """Return what is in a log."""
        return (self.folder / "logs" / name).read_text(encoding="utf-8", errors="replace")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command gently where it still runs, and for good what it started and left."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def said(argv: Sequence[str]) -> str:
    """Return the beginning of a command, as a person would type it, up to its first long word."""
    words = [Path(word).name if word in (PYTHON, TORCHRUN) else word for word in argv]
    short = list(itertools.takewhile(lambda word: len(word) <= LONGEST_WORD, words))
    return " ".join(short) + (" ..." if len(short) < len(words) else "")


def cause(text: str) -> str:
    """Return what a log says went wrong: its last error, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ERROR.match(line)), (lines or ["it printed nothing"])[-1])
