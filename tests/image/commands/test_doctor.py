"""The doctor in its image: fit as built, silent about secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from vldock.image.doctor import hardware

pytestmark = pytest.mark.layout

SECRET = "hf_not_to_be_shown"


def doctor(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor as a user does."""
    command = [sys.executable, "-m", "vldock.image", "doctor", *options]
    environment = {**os.environ, **environ}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def report() -> Mapping[str, Any]:
    """{check: finding} of the image as it is, with a token in the environment."""
    done = doctor("--json", HF_TOKEN=SECRET)
    assert SECRET not in done.stdout + done.stderr
    value = json.loads(done.stdout)
    return {"fit": value["fit"], "status": done.returncode, **{check["name"]: check for check in value["checks"]}}


def test_the_image_is_fit_as_built(report: Mapping[str, Any]) -> None:
    failed = [finding for finding in report.values() if isinstance(finding, dict) and finding["status"] == "fail"]

    assert failed == []
    assert (report["fit"], report["status"]) == (True, 0)


@pytest.mark.parametrize(
    "name", ["versions", "patches", "import llava", "flash_attn", "attention", "cache root", "token"]
)
def test_the_check_passes(report: Mapping[str, Any], name: str) -> None:
    assert report[name]["status"] == "ok"


def test_a_required_gpu_is_there_or_a_failure() -> None:
    status = {check.status for check in hardware.check_gpu(required=True)}

    assert ("fail" in status) is not torch.cuda.is_available()
