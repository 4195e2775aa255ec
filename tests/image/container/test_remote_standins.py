"""Stand-ins of the models with remote code: right answers, in bfloat16 too, and none from a drifted pipeline."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

import pytest

from vldock.common.matrix import MODELS

pytestmark = pytest.mark.layout  # the snapshots are below /opt/vldock

MODELS_WITH_CODE = ["InternVL2-2B", "InternVL2-8B", "MiniCPM-V-2_6", "cogvlm-chat"]
DATA = ["MMBench_DEV_EN", "MMStar", "OCRBench", "POPE", "TextVQA_VAL"]
KINDS = ("template", "order", "normalis", "bos", "image token")
ENOUGH = 90.0


@cache
def measured(model: str) -> Mapping[str, Mapping[str, float]]:
    """Return {drift: {benchmark: score}} of a stand-in, in a process of its own."""
    argv = [sys.executable, "-m", "vldock.image.remote_standins.sensitivity", "--model", model, "--json"]
    done = subprocess.run([*argv, "--data", *DATA], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"model"')]
    assert lines, done.stderr
    return {line["drift"]: line["cells"] for line in lines}


def test_every_model_of_the_image_has_a_stand_in():
    assert [model.name for model in MODELS if not model.standin] == []


@pytest.mark.parametrize("model", MODELS_WITH_CODE)
@pytest.mark.parametrize("way", ["none", "bfloat16"])
def test_a_stand_in_answers_every_sample(model, way):
    assert set(measured(model)[way].values()) == {100.0}


@pytest.mark.parametrize("model", MODELS_WITH_CODE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_drift_of_each_kind_fails_the_benchmarks(model, kind):
    drifts = {name: cells for name, cells in measured(model).items() if kind in name}
    assert drifts
    assert all(statistics.median(cells.values()) < ENOUGH for cells in drifts.values()), drifts
