"""Command line of the self-test: arguments, work folder, device, report, exit status."""

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
from vldock.image.selftest.context import StepContext
from vldock.image.selftest.report import Report
from vldock.image.selftest.steps import Log, run_all

SAMPLES, FEW = 10, 3
CORES_A_JOB, MOST_JOBS = 4, 4
LONGEST, LONGEST_ON_CPU = 900.0, 3600.0  # seconds of one command
INTERRUPTED = 130
STDOUT = "-"
GPU_NAMES = "from vldock.image import cuda_device; [print(gpu.name) for gpu in cuda_device.properties_of_all()]"
KEPT = "kept"  # file that marks a work folder to keep
SHARED_MEMORY = "/dev/shm"  # temporary files of a read-only container go there; 64 MB in Docker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    add = parser.add_argument
    add("--gpu", action="store_true", help="run on the first visible GPU, in float16; exit 3 without one")
    add("--quick", action="store_true", help="6 cells of 3 samples instead of 80 of 10, no preflight of the trainings")
    add("--json", metavar="FILE", help="write versions, device and every step's figures there; - for standard output")
    add("--work-dir", type=Path, metavar="DIR", help="keep the steps' files there (default: a temporary folder)")
    add("--jobs", type=int, metavar="N", help="commands in parallel (default: one for each 4 cores, at most 4)")
    add(
        "--timeout",
        type=float,
        metavar="S",
        help=f"seconds a command may take (default: {LONGEST:.0f}; on a CPU {LONGEST_ON_CPU:.0f})",
    )


def main(args: argparse.Namespace) -> int:
    """Run every step and return the exit status."""
    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}", expected="a whole number, 1 or more")
    device = choose_device(required=args.gpu)
    jobs = args.jobs or max(1, min(MOST_JOBS, len(os.sched_getaffinity(0)) // CORES_A_JOB))
    log, began = make_log(), time.monotonic()
    with work_folder(args.work_dir) as folder:
        longest = args.timeout or (LONGEST if args.gpu else LONGEST_ON_CPU)
        context = StepContext(folder, args.gpu, args.quick, FEW if args.quick else SAMPLES, longest)
        log(f"selftest on {device}, {jobs} {'command' if jobs == 1 else 'commands'} at once, in {folder}")
        try:
            steps = tuple(run_all(context, jobs=jobs, log=log))
        except KeyboardInterrupt:
            print("error: interrupted", file=sys.stderr)
            return INTERRUPTED
        report = Report(device, args.quick, jobs, round(time.monotonic() - began, 1), steps)
        write_report(report, args.json)
        if report.failed and args.work_dir is None:
            keep(folder, log)
    return 1 if report.failed else 0


def choose_device(*, required: bool) -> str:
    """Return the name of the GPU, or `cpu`.

    `cpu` only where no GPU is required; otherwise raises EnvironmentUnfit without a GPU.
    """
    if not required:
        return "cpu"
    found = visible_gpus()
    if not found:
        raise EnvironmentUnfit(
            "--gpu and torch sees no GPU",
            expected="an NVIDIA GPU, its driver and its libraries visible in here",
            hint="python -m vldock.image doctor; in Docker: --gpus all, in Apptainer: --nv; or leave --gpu out",
        )
    return found[0]


def visible_gpus() -> list[str]:
    """Return the names of the GPUs visible to torch.

    No CUDA context is created in this process.
    """
    done = subprocess.run([sys.executable, "-c", GPU_NAMES], stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()


def make_log() -> Log:
    """Return a thread-safe log function.

    It prints a line, with the seconds since now, to standard error.
    """
    began, lock = time.monotonic(), threading.Lock()

    def log(line: str) -> None:
        with lock:
            print(f"[{time.monotonic() - began:5.0f} s] {line}", file=sys.stderr, flush=True)

    return log


@contextmanager
def work_folder(requested: Path | None) -> Iterator[Path]:
    """Yield a new, empty work folder.

    A temporary one is removed at the end unless `keep` marked it.
    """
    if requested is not None:
        try:
            requested.mkdir(parents=True, exist_ok=True)
            inside = Path(tempfile.mkdtemp(prefix="selftest-", dir=requested.resolve()))
        except OSError as error:
            raise EnvironmentUnfit(
                f"--work-dir {requested}: {error.strerror}",
                expected="a folder to write in",
                hint="name another, or mount it writable",
            ) from error
        yield inside
        return
    made = make_temporary_folder()
    try:
        yield made
    finally:
        if not (made / KEPT).exists():
            shutil.rmtree(made, ignore_errors=True)


def keep(folder: Path, log: Log) -> None:
    """Keep the folder of a failed self-test, and log its path."""
    (folder / KEPT).touch()
    log(f"the logs of every command are kept in {folder}/logs")


def make_temporary_folder() -> Path:
    """Return a new temporary folder.

    It is below the outputs where TMPDIR is not writable or is small shared memory.
    """
    outputs = os.environ.get("VLDOCK_OUTPUTS") or OUTPUTS
    small = os.environ.get("TMPDIR", "").startswith(SHARED_MEMORY)
    for parent in (outputs, None) if small else (None, outputs):
        try:
            return Path(tempfile.mkdtemp(prefix="vldock-selftest-", dir=parent))
        except OSError:
            continue
    raise EnvironmentUnfit("no temporary folder can be written", hint="--work-dir DIR, or mount one: --tmpfs /tmp")


def write_report(report: Report, file: str | None) -> None:
    """Print the table of steps and write the report.

    The JSON goes to `file` if given; failures are named on standard error.
    """
    print(report.table(), file=sys.stderr if file == STDOUT else sys.stdout, flush=True)
    if file == STDOUT:
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    elif file:
        write_json(Path(file), report.as_json())
    for line in report.failures():
        print(line, file=sys.stderr)
