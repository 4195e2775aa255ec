"""Seconds by phase, counted once, of functions wrapped when their modules are imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vldock.image.process import import_hook
from vldock.image.process import stats as process_stats
from vldock.image.timing.stopwatch import START_UP, Stopwatch

TIMED_PROGRAM = """
import os, sys, types
from vldock.image.timing import phases
phases.TIMED = {"slow_module": (("Slow.work", "vision"),)}
phases.ANSWERING = {"slow_module": (("build", phases._answering),)}
phases.begin(sys.argv[1])
import slow_module
slow_module.Slow().work()
model = slow_module.build()
if os.fork() == 0:
    model.generate()
    sys.exit(0)
os.wait()
"""
SLOW_MODULE = """
import time
class Slow:
    def work(self):
        time.sleep(0.02)
    def generate(self):
        return "an answer"
def build():
    return Slow()
"""


@pytest.fixture
def hour() -> Iterator[Callable[[], float]]:
    """A clock that advances by one second at each call."""
    ticks = iter(range(10_000))
    return lambda: float(next(ticks))


def test_a_phase_inside_another_is_not_counted_twice(hour: Callable[[], float]) -> None:
    watch = Stopwatch(0.0, now=hour, cpu=hour)

    with watch.within("loop"), watch.within("vision"):
        pass

    outer, inner = watch.phases["loop"], watch.phases["vision"]
    assert (outer.count, inner.count) == (1, 1)
    assert inner.seconds == 2
    assert outer.seconds == 4  # six between its ends, less two


def test_what_another_thread_does_meanwhile_is_told_apart() -> None:
    watch = Stopwatch(0.0)

    def decode() -> None:
        with watch.within("preprocess"):
            pass

    thread = threading.Thread(target=decode)
    thread.start()
    thread.join()

    assert watch.beside["preprocess"].count == 1
    assert set(watch.phases) == {START_UP}


def test_a_phase_that_fails_is_counted_and_its_error_passes() -> None:
    watch = Stopwatch(0.0)

    with pytest.raises(ValueError, match="broken"), watch.within("scoring"):
        raise ValueError("broken")

    assert watch.phases["scoring"].count == 1


def test_a_module_is_changed_as_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vldock_late.py").write_text("value = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    seen = []

    import_hook.call(["vldock_late"], lambda module: seen.append(module.value))
    import vldock_late  # type: ignore[import-not-found]  # noqa: F401

    assert seen == [1]


def test_each_process_adds_a_line_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE, encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    out = tmp_path / "phases.jsonl"

    subprocess.run([sys.executable, "-c", TIMED_PROGRAM, str(out)], check=True, env=environ)

    child, parent = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    assert (parent["answers"], child["answers"]) == (0, 1)
    assert parent["phases"]["vision"]["seconds"] >= 0.02
    assert "vision" not in child["phases"]
    assert child["first_answer"] is not None


def test_a_process_knows_its_age() -> None:
    code = "import time; time.sleep(0.2); from vldock.image.process import stats; print(stats.process_age())"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert 0.19 < float(done.stdout) < 600


@pytest.mark.parametrize(
    ("files", "found"),
    [
        pytest.param(
            {"memory.peak": "4096\n", "cpu.stat": "usage_usec 2500000\nuser_usec 1\n"},
            {"memory_peak": 4096, "cpu_seconds": 2.5},
            id="version 2",
        ),
        pytest.param(
            {"memory/memory.max_usage_in_bytes": "4096\n", "cpuacct/cpuacct.usage": "2500000000\n"},
            {"memory_peak": 4096, "cpu_seconds": 2.5},
            id="version 1",
        ),
        pytest.param({}, {}, id="none"),
    ],
)
def test_a_container_s_usage_is_read_from_either_version_of_control_groups(
    files: dict[str, str], found: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    monkeypatch.setattr(process_stats, "GROUPS", tmp_path)

    assert process_stats.container_usage() == pytest.approx(found)
