"""Commands of a self-test's steps: environment, logs, end, errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support import wait_until

from vldock.common.errors import EvaluationFailed
from vldock.image.selftest import context as contexts
from vldock.image.selftest import inference
from vldock.image.selftest.context import StepContext

QUIET: Any = lambda line: None  # noqa: E731
MODEL = inference.MODEL


def context(folder: Path, *, gpu: bool = False, seconds: float = 30.0) -> StepContext:
    return StepContext(folder, gpu, True, 3, seconds)


def test_a_command_sees_the_stand_ins_and_nothing_that_would_change_an_answer(tmp_path, monkeypatch):
    for name in ("VLDOCK_DTYPE", "VLDOCK_SESSION", "VLMEVAL_SAMPLE_LIMIT", "PYTHONPATH", "RANK", "SLURM_PROCID"):
        monkeypatch.setenv(name, "1")

    seen = context(tmp_path).environ({"VLDOCK_SESSION": "/s"})

    assert {name: seen.get(name) for name in ("VLDOCK_STANDIN", "VLDOCK_DEVICE", "CUDA_VISIBLE_DEVICES")} == {
        "VLDOCK_STANDIN": "1",
        "VLDOCK_DEVICE": "cpu",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    assert seen["VLDOCK_SESSION"] == "/s"
    assert not {"VLDOCK_DTYPE", "VLMEVAL_SAMPLE_LIMIT", "PYTHONPATH", "RANK", "SLURM_PROCID"} & seen.keys()


@pytest.mark.parametrize(("visible", "card"), [(None, "0"), ("3,1", "3"), ("GPU-ab", "GPU-ab"), ("", "0")])
def test_one_card_is_used_the_first_that_is_visible(tmp_path, monkeypatch, visible, card):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    seen = context(tmp_path, gpu=True).environ()

    assert (seen["CUDA_VISIBLE_DEVICES"], seen["VLDOCK_DEVICE"]) == (card, "cuda")


def test_a_command_that_fails_is_told_with_its_last_error_and_its_log(tmp_path):
    code = "import sys; print('error: no room', file=sys.stderr); print('noise', file=sys.stderr); sys.exit(3)"

    with pytest.raises(EvaluationFailed, match=r"ended with 3 \(logs/one.err\): error: no room"):
        context(tmp_path).run("one", [sys.executable, "-c", code])


def test_a_command_that_does_not_end_is_ended_and_named(tmp_path):
    with pytest.raises(EvaluationFailed, match="long took more than 0 s: sleep 600"):
        context(tmp_path, seconds=0.1).run("long", ["sleep", "600"])


def test_what_a_command_started_ends_with_it(tmp_path):
    pid = tmp_path / "pid"
    process = context(tmp_path).start("parent", ["sh", "-c", "sleep 600 & echo $! > part && mv part pid; wait"])
    wait_until.until(pid.exists)

    contexts.terminate(process)

    wait_until.until(lambda: _state(int(pid.read_text())) in ("gone", "Z"))
    assert process.returncode != 0


def _state(pid: int) -> str:
    """Return a process's state from /proc, `gone` where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Traceback\n  File x\nValueError: got:cuda\nnoise", "ValueError: got:cuda"),
        ("FAILED m x b: no TSV\n", "FAILED m x b: no TSV"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory\n", "torch.cuda.OutOfMemoryError: CUDA out of memory"),
        ("one\ntwo\n", "two"),
        ("", "it printed nothing"),
    ],
)
def test_the_cause_is_the_last_error_of_a_log(text, cause):
    assert contexts.find_cause(text) == cause
