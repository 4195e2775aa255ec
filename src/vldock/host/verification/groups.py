"""Test groups of a verification: their tests and results.

A result is read from the group's JUnit XML.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from vldock.host.receipts.statement import GPU_GROUP, GroupResult

# group -> files of tests/docker, run by the host's pytest against containers of the image
HOST_GROUPS: dict[str, tuple[str, ...]] = {
    "static": ("test_image.py", "test_file_system.py"),
    "users": ("test_users.py",),
    "offline": ("test_evaluation.py", "test_writes.py"),
    "matrix": ("test_whole_matrix.py", "test_breakage.py"),
}
# in parallel, as many as there are cores: a test of a container is seconds of imports
PARALLEL = ("-n", "auto", "--maxprocesses", "8", "--dist")
# group -> options of pytest in the container, for tests/image copied there
INSIDE_GROUPS: dict[str, tuple[str, ...]] = {
    "inside": ("-m", "not gpu", *PARALLEL, "loadfile"),
    "gpu": ("-m", "gpu"),
}
ALONE = ("matrix", "gpu")  # use every core, or the one GPU
ORDER = ("static", "inside", "users", "offline", "matrix", "gpu")


@dataclass(frozen=True)
class Counts:
    """Counts of one JUnit report.

    `failures` are the names of tests that failed or could not run.
    """

    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...]
    seconds: float


def read_junit(path: Path) -> Counts:
    """Count a JUnit report; raises FileNotFoundError or ParseError where pytest wrote none."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    failures = tuple(
        f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    )
    skipped = sum(case.find("skipped") is not None for case in cases)
    seconds = sum(float(case.get("time") or 0) for case in cases)
    return Counts(len(cases) - len(failures) - skipped, len(failures), skipped, failures, seconds)


def make_result(name: str, counts: Counts, *, exit_code: int, no_gpu: str = "no GPU") -> GroupResult:
    """Return the group's result.

    An exit code of pytest that contradicts its report is a failure too.

    `no_gpu` is the reason where the group gpu was skipped; on a GPU a skipped test of it is a failure.
    """
    passed, failed, skipped = counts.passed, counts.failed, counts.skipped
    if failed or exit_code not in (0, 5):
        failures = counts.failures or (f"pytest exit {exit_code}",)
        return GroupResult(name, "failed", passed, len(failures), skipped, failures=failures)
    if not passed:
        why = no_gpu if name == GPU_GROUP else "no test ran"
        return GroupResult(name, "skipped", passed, failed, skipped, reason=why)
    if name == GPU_GROUP and skipped:
        return GroupResult(name, "failed", passed, failed, skipped, reason=f"{skipped} skipped beside a GPU")
    return GroupResult(name, "passed", passed, failed, skipped)
