"""`selftest --quick` on this CPU: every step without a GPU, one table, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vldock.image.selftest.steps import NAMES

pytestmark = pytest.mark.timeout(1800)
ON_A_GPU = ("QLoRA",)


def selftest(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "vldock.image", "selftest", "--quick", *words]
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=1700, check=False)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """A finished quick self-test and its JSON."""
    path = tmp_path_factory.mktemp("selftest") / "report.json"
    done = selftest("--json", str(path), "--work-dir", str(path.parent))
    return done, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_passes_here_or_needs_a_gpu(quick: Any, name: str) -> None:
    step = next(step for step in quick[1]["steps"] if step["name"] == name)

    assert step["status"] == ("needs a GPU" if name in ON_A_GPU else "passed"), step["seen"]


def test_it_ends_with_0_and_a_table_of_every_step(quick: Any) -> None:
    done, report = quick
    first, _, *rows = done.stdout.splitlines()

    assert (done.returncode, report["passed"]) == (0, True), done.stderr
    assert first.startswith("selftest PASSED on cpu in ")
    assert [name for name in NAMES if any(row.strip().startswith(name) for row in rows)] == list(NAMES)


def test_its_json_has_the_image_and_the_versions(quick: Any) -> None:
    report = quick[1]

    assert report["versions"]["torch"].startswith("2.1.2")
    assert len(report["image"]["vldock_sha256"]) == 64


def test_steps_that_fail_are_named_and_the_exit_is_1(tmp_path: Path) -> None:
    done = selftest("--timeout", "0.01", "--work-dir", str(tmp_path))

    assert done.returncode == 1
    assert done.stdout.startswith("selftest FAILED on cpu")
    failed = [line for line in done.stderr.splitlines() if line.startswith("FAILED ")]
    assert [line.split(":")[0] for line in failed] == [f"FAILED {name}" for name in NAMES if name not in ON_A_GPU]


def test_a_gpu_that_is_not_here_is_exit_3() -> None:
    done = selftest("--gpu")

    assert done.returncode == 3
    assert "torch sees no GPU" in done.stderr
