"""Main job on a GPU: `selftest --gpu`, one test per step, so that a receipt counts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vldock.image.selftest.steps import NAMES

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1500)]
SECONDS = 300  # of the whole, on one card
REPORTS = Path("/reports")  # kept by `vldock verify`, which reads the card's name there


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Report of one `selftest --gpu`."""
    folder = tmp_path_factory.mktemp("selftest")
    path = (REPORTS if os.access(REPORTS, os.W_OK) else folder) / "selftest.json"
    path.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "vldock.image", "selftest", "--gpu", "--json", str(path)]
    done = subprocess.run([*argv, "--work-dir", str(folder)], capture_output=True, text=True, timeout=1400)
    print(done.stdout, done.stderr, sep="\n")
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_the_main_job_passes_on_the_gpu(report: dict[str, Any], name: str) -> None:
    step = next(step for step in report["steps"] if step["name"] == name)

    assert step["status"] == "passed", step["seen"]


def test_forty_cells_by_two_engines_give_the_same_answers_and_tokens(report: dict[str, Any]) -> None:
    (figures,) = (step["figures"] for step in report["steps"] if step["name"] == "stock = batched")

    assert figures["cells"] == 80
    assert (figures["differing_answers"], figures["differing_tokens"]) == (0, 0)
    assert figures["answers"] == 400
    assert figures["tokens"] > 0


def test_the_main_job_takes_no_more_than_five_minutes(report: dict[str, Any]) -> None:
    assert report["device"] != "cpu"
    assert report["seconds"] <= SECONDS
