"""Fine-tuning in two processes over gloo: mean gradients, and one out of memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import training_fixture
from training_fixture import Box

WORDS = ("data.questions=[choice]", "train.max_steps=4", "model.lora_dropout=0")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.make(tmp_path_factory.mktemp("processes"))


def two(box: Box, out: Path, *words: str, rank: int = -1, rows: int = 0) -> CompletedProcess[str]:
    """Train in two processes; on `rank` no more than `rows` fit."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ("--nnodes=1", "--master_addr=127.0.0.1", f"--master_port={port}", "--nproc_per_node=2")
    script = (str(Path(__file__).parents[1] / "training_rank.py"), str(box.root), str(out), str(rank), str(rows))
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *launcher, *script, *WORDS, *words],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def steps(out: Path) -> list[tuple[float, float]]:
    """Return loss and gradient norm of each step in the log."""
    from vldock.image.training.loop import monitor

    return [
        (line["loss"], line["gradient_norm"]) for line in monitor.read(out / monitor.LOG) if line["event"] == "step"
    ]


def test_two_processes_learn_what_one_does_of_the_same_rows(box: Box, tmp_path: Path) -> None:
    box.train(tmp_path / "one", *WORDS, "train.batch_size=2", "train.accumulation=2")

    done = two(box, tmp_path / "two", "train.batch_size=1", "train.accumulation=2")

    assert done.returncode == 0, done.stderr
    assert len(steps(tmp_path / "two")) == 4
    for one, both in zip(steps(tmp_path / "one"), steps(tmp_path / "two"), strict=True):
        assert both == pytest.approx(one, rel=2e-3)


def test_where_one_process_runs_out_of_memory_both_halve_and_go_on(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.loop import monitor

    whole = two(box, tmp_path / "whole", "train.batch_size=2")
    done = two(box, tmp_path / "halved", "train.batch_size=2", rank=1, rows=1)

    assert (whole.returncode, done.returncode) == (0, 0), whole.stderr + done.stderr
    starts = [line for line in monitor.read(tmp_path / "halved" / monitor.LOG) if line["event"] == "start"]
    assert [(line["step"], line["rows_at_once"]) for line in starts] == [(0, 2), (2, 1)]
    for one, other in zip(steps(tmp_path / "whole"), steps(tmp_path / "halved"), strict=True):
        assert other == pytest.approx(one, rel=2e-3)


def test_one_row_that_does_not_fit_one_process_ends_both(box: Box, tmp_path: Path) -> None:
    done = two(box, tmp_path / "run", "train.batch_size=1", rank=1, rows=0)

    assert done.returncode != 0
    assert "one row does not fit: another process ran out of memory" in done.stderr
    assert "one row does not fit: CUDA out of memory" in done.stderr
