"""Run the groups of tests, each to a JUnit report and a result."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem.atomic import write_json
from vldock.host.containers.lifecycle import run_container
from vldock.host.containers.spec import Mount, Spec
from vldock.host.receipts.statement import GPU_GROUP, GroupResult
from vldock.host.util.console import Say
from vldock.host.verification import groups as verify_groups
from vldock.host.verification import test_dependencies

INSIDE_SECONDS = 7200  # of a container that hangs; a busy machine takes many times the few minutes of an idle one
NAMED = 30  # failed tests, in a group's one line
REPORTS = "/reports"


@dataclass(frozen=True)
class VerificationRequest:
    """Image and groups to test, and the folder of the reports.

    `gpus` is 'none' (`no_gpu` is the reason), 'all' or device numbers. `only` names test files: the others of a group
    are not run, so no receipt may be made of it.
    """

    image: str
    folder: Path
    reports: Path
    groups: tuple[str, ...] = verify_groups.ORDER
    gpus: str = "none"
    no_gpu: str = "no GPU"
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class TimedResult:
    """A group's result, and its duration in seconds."""

    result: GroupResult
    seconds: float


def run_groups(request: VerificationRequest, *, client: Any, say: Say) -> Iterator[TimedResult]:
    """Run the groups and yield each result in their order.

    Later groups run also after a failure. Groups that leave most cores idle run in parallel where there are cores for
    it; matrix and gpu run alone.
    """
    request.reports.mkdir(parents=True, exist_ok=True)
    names = [name for name in verify_groups.ORDER if name in request.groups]

    def timed(name: str) -> TimedResult:
        say(f"group {name} ...")
        began = time.monotonic()
        result = run_group(name, request, client=client, say=say)
        return TimedResult(result, time.monotonic() - began)

    parallel = [name for name in names if name not in verify_groups.ALONE]
    with ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 1) // 4)) as pool:
        yield from pool.map(timed, parallel)
    yield from map(timed, [name for name in names if name in verify_groups.ALONE])


def run_group(name: str, request: VerificationRequest, *, client: Any, say: Say) -> GroupResult:
    """Run one group and return its result.

    A group whose pytest left no report has failed.
    """
    report = request.reports / f"{name}.xml"
    report.unlink(missing_ok=True)
    if name in verify_groups.HOST_GROUPS:
        code = run_on_host(name, request, report, say=say)
    else:
        try:
            code = run_inside(name, request, client=client, say=say)
        except EnvironmentUnfit as error:
            if name != GPU_GROUP:
                raise
            return GroupResult(name, "failed", failed=1, failures=(error.message,))  # the others' results are kept
    try:
        return verify_groups.make_result(name, verify_groups.read_junit(report), exit_code=code, no_gpu=request.no_gpu)
    except (OSError, ParseError) as error:
        return GroupResult(name, "failed", failed=1, failures=(f"no report (pytest exit {code}): {error}",))


def run_on_host(name: str, request: VerificationRequest, report: Path, *, say: Say) -> int:
    """Run the host's pytest over the group's files and return its exit code.

    Its output is passed on at the end.
    """
    files = [str(request.folder / "tests/docker" / file) for file in request.only or verify_groups.HOST_GROUPS[name]]
    argv = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *verify_groups.PARALLEL, "loadgroup", *files]
    environ = {**os.environ, "VLDOCK_IMAGE": request.image}
    done = subprocess.run(
        argv, cwd=request.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    say("\n".join(line for line in done.stdout.splitlines() if line and "bringing up nodes" not in line))
    return done.returncode


def run_inside(name: str, request: VerificationRequest, *, client: Any, say: Say) -> int:
    """Run tests/image in one detached container and return pytest's exit code.

    By exec, without a network.
    """
    argv = ["timeout", "-k", "10", str(INSIDE_SECONDS), "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    argv += [f"--rootdir={test_dependencies.TESTS_TARGET}", f"--junit-xml={REPORTS}/{name}.xml"]
    argv += [f"{test_dependencies.TESTS_TARGET}/{file}" for file in request.only] or [test_dependencies.TESTS_TARGET]
    argv += verify_groups.INSIDE_GROUPS[name]
    if name == "gpu" and request.gpus != "none":  # a GPU that was handed out and is not visible is no reason to skip
        argv.append("--require-gpu")
    spec = Spec(
        image=request.image,
        argv=("sleep", "infinity"),
        role="verify",
        network="none",
        gpus=request.gpus if name == "gpu" else "none",
        env={"PYTHONPATH": test_dependencies.TARGET},
        mounts=(
            Mount(test_dependencies.prepare(request.folder), test_dependencies.TARGET, read_only=True),
            Mount(request.folder / "tests/image", test_dependencies.TESTS_TARGET, read_only=True),
            Mount(request.reports, REPORTS),
        ),
    )
    with run_container(client, spec) as container:
        done = container.execute(argv)
    say("\n".join(line for line in done.text.splitlines() if line and "bringing up nodes" not in line))
    return done.exit_code


def is_verified(results: Sequence[TimedResult], *, require_gpu: bool) -> bool:
    """Check that the results verify the image.

    No group failed, none but gpu was skipped, and gpu passed where it is required.
    """
    allowed = set() if require_gpu else {"gpu"}
    return all(one.result.status == "passed" or one.result.name in allowed for one in results) and not any(
        one.result.status == "failed" for one in results
    )


def failure_lines(results: Sequence[TimedResult], *, image: str, reports: Path) -> list[str]:
    """Return a line for each failed group.

    Number and names of failed tests, and the command to repeat it.
    """
    lines = []
    for result in (one.result for one in results if one.result.status == "failed"):
        names = ", ".join(result.failures[:NAMED]) + (", ..." if len(result.failures) > NAMED else "")
        again = f"vldock verify {image} --again {result.name} --reports {reports}"
        lines.append(
            f"FAILED {result.name} ({result.failed} of {result.passed + result.failed}): {names}; again: {again}"
        )
    return lines


def save_results(path: Path, image: str, results: Sequence[TimedResult]) -> None:
    """Write the results as JSON beside the reports."""
    rows = [{**asdict(one.result), "seconds": round(one.seconds, 1)} for one in results]
    write_json(path, {"image": image, "groups": rows})
