"""Context of a self-test's steps: folder, device, environment; runs their commands."""

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
LONGEST_WORD = 40  # of a command in a message; a path of the temporary folder is longer
ERROR = re.compile(r"(error: |FAILED |[\w.]+(Error|Exception|Diverged|Unfit|Refused|Lost)\b:? )")
SECONDS_TO_END = 10.0


class NeedsGpu(Exception):
    """Step unable to run on the CPU; it is skipped, by name."""


@dataclass(frozen=True)
class StepResult:
    """A step's findings: one line of text, and its figures."""

    line: str
    figures: Mapping[str, object]


@dataclass(frozen=True)
class CompletedCommand:
    """A finished command: exit status, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class StepContext:
    """Settings shared by all steps.

    `limit` samples per cell, at most `seconds` per command.
    """

    folder: Path
    gpu: bool
    quick: bool
    limit: int
    seconds: float

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a command.

        The caller's, without variables that would change the answers.
        """
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
            "CUDA_VISIBLE_DEVICES": self.first_gpu() if self.gpu else "-1",
            "HF_HUB_OFFLINE": "1",
            "TMPDIR": str(self.folder / "tmp"),
            **(more or {}),
        }

    def first_gpu(self) -> str:
        """Return the GPU to use: the first visible one."""
        return os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() or "0"

    def run(self, log: str, argv: Sequence[str], *, more: Mapping[str, str] | None = None) -> CompletedCommand:
        """Run a command to its end.

        Its output goes to logs/LOG.out and .err. Raises EvaluationFailed where the command fails.
        """
        with self.start(log, argv, more=more) as process:
            try:
                code = process.wait(self.seconds)
            except subprocess.TimeoutExpired as error:
                raise EvaluationFailed(f"{log} took more than {self.seconds:.0f} s: {short_command(argv)}") from error
            finally:
                terminate(process)
        done = CompletedCommand(code, self.read_log(f"{log}.out"), self.read_log(f"{log}.err"))
        if code:
            raise EvaluationFailed(
                f"{short_command(argv)} ended with {code} (logs/{log}.err): {find_cause(done.err or done.out)}"
            )
        return done

    def start(self, log: str, argv: Sequence[str], *, more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a command in a new process group."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{log}.out").open("wb") as out, (logs / f"{log}.err").open("wb") as err:
            return subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.folder,
                env=self.environ(more), start_new_session=True,
            )  # fmt: skip

    def read_log(self, name: str) -> str:
        """Return the text of a log."""
        return (self.folder / "logs" / name).read_text(encoding="utf-8", errors="replace")


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate a running command, then kill its process group."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def short_command(argv: Sequence[str]) -> str:
    """Return the beginning of a command, as typed.

    It ends at the first long word.
    """
    words = [Path(word).name if word in (PYTHON, TORCHRUN) else word for word in argv]
    short = list(itertools.takewhile(lambda word: len(word) <= LONGEST_WORD, words))
    return " ".join(short) + (" ..." if len(short) < len(words) else "")


def find_cause(text: str) -> str:
    """Return the last error of a log, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if ERROR.match(line)), (lines or ["it printed nothing"])[-1])
