"""The command: where it works, on what it runs, what it prints, how it ends."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vldock.common.cache_env import OUTPUTS
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.common.filesystem.atomic import write_json
from vldock.image.selftest.bench import Bench
from vldock.image.selftest.report import Report
from vldock.image.selftest.steps import Say, take_all

SAMPLES, FEW = 10, 3
CORES_A_JOB, MOST_JOBS = 4, 4
LONGEST, LONGEST_ON_CPU = 900.0, 3600.0  # seconds of one command
INTERRUPTED = 130
STDOUT = "-"
CARDS = "from vldock.image import cuda_device; [print(card.name) for card in cuda_device.properties_of_all()]"
SHARED_MEMORY = "/dev/shm"  # where a read-only container's temporary files go; Docker gives it 64 MB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    add = parser.add_argument
    add("--gpu", action="store_true", help="on the first visible GPU, in float16; without one: exit 3")
    add("--quick", action="store_true", help="6 cells of 3 samples instead of 80 of 10, no preflight of the trainings")
    add("--json", metavar="FILE", help="write versions, device and every step's figures there; - for standard output")
    add("--work-dir", type=Path, metavar="DIR", help="keep what the steps write there (default: a temporary folder)")
    add("--jobs", type=int, metavar="N", help="commands at once (default: one for each 4 cores, at most 4)")
    add(
        "--timeout",
        type=float,
        metavar="S",
        help=f"longest of a command (default: {LONGEST:.0f}; on a CPU {LONGEST_ON_CPU:.0f})",
    )


def main(args: argparse.Namespace) -> int:
    """Take every step and return the exit status."""
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}", expected="a whole number, 1 or more")
    device = card(required=args.gpu)
    jobs = args.jobs or max(1, min(MOST_JOBS, len(os.sched_getaffinity(0)) // CORES_A_JOB))
    say, began = speaker(), time.monotonic()
    with folder_of(args.work_dir) as folder:
        longest = args.timeout or (LONGEST if args.gpu else LONGEST_ON_CPU)
        bench = Bench(folder, args.gpu, args.quick, FEW if args.quick else SAMPLES, longest)
        say(f"selftest on {device}, {jobs} {'command' if jobs == 1 else 'commands'} at once, in {folder}")
        try:
            steps = tuple(take_all(bench, jobs=jobs, say=say))
        except KeyboardInterrupt:
            print("error: interrupted", file=sys.stderr)
            return INTERRUPTED
        report = Report(device, args.quick, jobs, round(time.monotonic() - began, 1), steps)
        tell(report, args.json)
        if report.failed and args.work_dir is None:
            keep(folder, say)
    return 1 if report.failed else 0


def card(*, required: bool) -> str:
    """Return the name of the GPU that is used, `cpu` where none is asked for; raise EnvironmentUnfit without one."""
    if not required:
        return "cpu"
    found = visible_cards()
    if not found:
        raise EnvironmentUnfit(
            "--gpu and torch sees no GPU",
            expected="an NVIDIA GPU, its driver and its libraries visible in here",
            hint="python -m vldock.image doctor; in Docker: --gpus all, in Apptainer: --nv; or leave --gpu out",
        )
    return found[0]


def visible_cards() -> list[str]:
    """Return the names of the GPUs torch sees, asked in a process that ends: none of ours stays on a card."""
    asked = subprocess.run([sys.executable, "-c", CARDS], stdout=subprocess.PIPE, text=True, check=False)
    return asked.stdout.splitlines()


def speaker() -> Say:
    """Return a function that prints a line with the seconds since now to standard error, whole, from any thread."""
    began, one = time.monotonic(), threading.Lock()

    def say(line: str) -> None:
        with one:
            print(f"[{time.monotonic() - began:5.0f} s] {line}", file=sys.stderr, flush=True)

    return say


@contextmanager
def folder_of(asked: Path | None) -> Iterator[Path]:
    """Yield the folder to work in, new and empty; a temporary one is removed at the end unless `keep` moved it."""
    if asked is not None:
        try:
            asked.mkdir(parents=True, exist_ok=True)
            inside = Path(tempfile.mkdtemp(prefix="selftest-", dir=asked.resolve()))
        except OSError as error:
            raise EnvironmentUnfit(
                f"--work-dir {asked}: {error.strerror}",
                expected="a folder to write in",
                hint="name another, or mount it writable",
            ) from error
        yield inside
        return
    made = temporary()
    try:
        yield made
    finally:
        if not (made / KEPT).exists():
            shutil.rmtree(made, ignore_errors=True)


KEPT = "kept"


def keep(folder: Path, say: Say) -> None:
    """Leave the folder of a self-test that failed, and name its logs."""
    (folder / KEPT).touch()
    say(f"the logs of every command are kept in {folder}/logs")


def temporary() -> Path:
    """Return a new temporary folder; below the outputs where there is none, or only memory that may be small."""
    outputs = os.environ.get("VLDOCK_OUTPUTS") or OUTPUTS
    small = os.environ.get("TMPDIR", "").startswith(SHARED_MEMORY)
    for parent in (outputs, None) if small else (None, outputs):
        try:
            return Path(tempfile.mkdtemp(prefix="vldock-selftest-", dir=parent))
        except OSError:
            continue
    raise EnvironmentUnfit("no temporary folder can be written", hint="--work-dir DIR, or mount one: --tmpfs /tmp")


def tell(report: Report, file: str | None) -> None:
    """Print the table, and write the JSON where it is asked for; failures are named on standard error."""
    print(report.table(), file=sys.stderr if file == STDOUT else sys.stdout, flush=True)
    if file == STDOUT:
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    elif file:
        write_json(Path(file), report.as_json())
    for line in report.failures():
        print(line, file=sys.stderr)
