"""pip in the container: expected complaints only, and a later install keeps the pins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import IN_IMAGE

from vldock.common.image_paths import PIP_CHECK_EXPECTED

EXPECTED = Path(PIP_CHECK_EXPECTED) if IN_IMAGE else Path(__file__).parents[3] / "locks/pip-check-expected.txt"


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python's pip."""
    return subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def expected() -> set[str]:
    lines = EXPECTED.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def complaints() -> set[str]:
    return set(pip("check").stdout.splitlines()) - {"No broken requirements found."}


@pytest.mark.layout
def test_pip_check_complains_of_nothing_new(complaints: set[str], expected: set[str]) -> None:
    assert complaints - expected == set()


@pytest.mark.layout
def test_no_expected_complaint_has_gone(complaints: set[str], expected: set[str]) -> None:
    assert expected - complaints == set()


def test_every_expected_complaint_has_a_reason_above_it() -> None:
    groups = re.split(r"\n\s*\n", EXPECTED.read_text(encoding="utf-8").strip())

    assert all(group.startswith("#") for group in groups)


@pytest.mark.layout
@pytest.mark.parametrize("requirement", ["torch==2.8.0", "transformers==4.57.0", "numpy>=2", "llava-torch==1.1.1"])
def test_an_install_that_would_move_a_pin_is_refused(requirement: str) -> None:
    done = pip("install", "--dry-run", "--no-index", requirement)

    assert done.returncode != 0
    assert re.search(r"conflict|constraint", done.stdout + done.stderr, flags=re.IGNORECASE)


@pytest.mark.layout
def test_an_install_of_what_is_locked_is_accepted() -> None:
    done = pip("install", "--dry-run", "--no-index", "torch")

    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout
