"""Cause of a worker's death: its own error, else its signal or exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.image.process import stats as process_stats
from vldock.image.session.worker_failure import one_line, read_cause, write_cause


@pytest.fixture
def written() -> Iterator[int]:
    """An empty file for a cause."""
    descriptor = os.memfd_create("cause")
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no index\nand more"), "ValueError: no index"),
        (MemoryError(), "MemoryError"),
        (EnvironmentUnfit("no room", hint="make room"), "no room"),
    ],
    ids=["two lines", "no text", "one of ours"],
)
def test_an_error_is_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


def test_what_the_worker_wrote_is_the_cause_whatever_its_exit_code(written: int) -> None:
    write_cause(written, ValueError("no index"))

    assert read_cause(written, code=70, out_of_memory=False) == "ValueError: no index"


@pytest.mark.parametrize(
    ("code", "starved", "cause"),
    [
        (3, False, "exit 3"),
        (-9, True, "killed by SIGKILL: out of memory"),
        (-9, False, "killed by SIGKILL (kill -9)"),
        (-11, True, "killed by SIGSEGV"),
        (-64, False, "killed by SIGRTMAX"),
    ],
)
def test_a_worker_that_wrote_nothing_is_told_by_its_end(written: int, code: int, starved: bool, cause: str) -> None:
    assert read_cause(written, code=code, out_of_memory=starved) == cause


@pytest.mark.parametrize("file", ["memory.events", "memory/memory.oom_control"], ids=["cgroup 2", "cgroup 1"])
def test_kills_for_want_of_memory_are_counted(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_stats, "GROUPS", tmp_path)
    before = process_stats.count_oom_kills()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("oom_kill_disable 0\noom_kill 2\n")

    assert (before, process_stats.count_oom_kills()) == (0, 2)
