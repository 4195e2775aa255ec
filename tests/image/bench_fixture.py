"""Fixture `bench`: a run.py with a tiny model, private cache, data and output folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_model
from preforked_runs import WarmRuns
from tiny_model import LLAVA_ROOT, Bench, python_path


@pytest.fixture(scope="session")
def bench_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache and data, made once, in a separate process."""
    root = tmp_path_factory.mktemp("bench")
    environment = {**os.environ, "PYTHONPATH": python_path(LLAVA_ROOT), "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, tiny_model.__file__, str(root)], env=environment, check=True, capture_output=True)
    return root


@pytest.fixture(scope="session")
def warm_runs(bench_template: Path) -> Iterator[WarmRuns]:
    """One process with VLMEvalKit imported, shared by all tests."""
    runs = WarmRuns(Bench(bench_template, bench_template / "cache").env())
    yield runs
    runs.close()


@pytest.fixture
def bench(bench_template: Path, warm_runs: WarmRuns, tmp_path: Path) -> Bench:
    """A run.py for this test only."""
    shutil.copytree(bench_template / "LMUData", tmp_path / "LMUData")
    return Bench(tmp_path, bench_template / "cache", warm_runs)
