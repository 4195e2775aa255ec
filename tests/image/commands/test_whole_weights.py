"""A truncated or missing shard is refused by name before the model is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_model import MODEL, REPO, Bench

pytest_plugins = ["bench_fixture"]


@pytest.fixture
def mine(bench: Bench, tmp_path: Path) -> Bench:
    """A run.py with a private cache."""
    shutil.copytree(bench.cache, tmp_path / "cache", symlinks=True)
    return Bench(bench.root, tmp_path / "cache", bench.warm)


def shard(bench: Bench) -> Path:
    """File of the model's tensors."""
    folder = bench.cache / f"models--{REPO.replace('/', '--')}" / "snapshots"
    (path,) = [path for path in folder.glob("*/*") if path.suffix in (".safetensors", ".bin")]
    return path.resolve()


def test_a_cut_shard_is_refused_by_name(mine: Bench) -> None:
    path = shard(mine)
    path.write_bytes(path.read_bytes()[:-1000])

    done = mine.run("--limit", "1")

    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(f"FAILED {MODEL} x POPE")]
    assert done.returncode == 1
    assert f"the weights of {REPO} are not whole: " in line
    assert "Traceback" not in done.stdout + done.stderr


def test_weights_that_are_gone_are_refused_offline(mine: Bench) -> None:
    shard(mine).unlink()

    done = mine.run("--limit", "1")

    assert done.returncode == 1
    assert "are not whole" in done.stdout + done.stderr
