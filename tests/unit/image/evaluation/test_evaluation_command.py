"""`python -m vldock.image evaluate`: errors are reported before anything is loaded."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

from vldock.image.__main__ import main
from vldock.image.evaluation import cell as cell_evaluation
from vldock.image.evaluation import command as evaluate_command
from vldock.image.evaluation import stdin_queue
from vldock.image.evaluation.gpu_health import DeviceLost


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "llava_v1.5_7", "--data", "POPE"], "did you mean llava_v1.5_7b"),
        (["--model", "llava_v1.5_7b", "--data", "POPE", "pop"], "did you mean POPE"),
        (["--model", "llava_v1.5_7b", "--data", "POPE", "--limit", "0"], "--limit='0'"),
    ],
    ids=["model", "benchmark", "limit"],
)
def test_a_wrong_name_or_number_ends_with_2_and_a_hint(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments, "--out", str(tmp_path)]) == 2

    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_variable_is_the_default_of_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLMEVAL_SAMPLE_LIMIT", "ten")

    status = main(["evaluate", "--model", "llava_v1.5_7b", "--data", "POPE", "--out", str(tmp_path)])

    assert status == 2
    assert "VLMEVAL_SAMPLE_LIMIT='ten'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "evaluate", "version"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])

    assert end.value.code == 0
    assert "exit status" in capsys.readouterr().out


class Loaded:
    """A loaded model."""

    def facts(self) -> None:
        """Return no facts."""


def test_a_cell_on_a_lost_gpu_has_no_end_and_the_loss_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def lost(job: cell_evaluation.CellJob, **_: Any) -> None:
        raise DeviceLost("the GPU is lost")

    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(cell_evaluation, "run", lost)
    args = argparse.Namespace(model="llava_v1.5_7b", out=tmp_path, judge=None)
    work = evaluate_command.EvaluationRun(
        args, None, True, lambda event, **fields: told.append((event, fields)), from_stdin=True
    )
    monkeypatch.setattr(work, "shared", Loaded())

    with pytest.raises(DeviceLost):
        work.cell(work.jobs(["POPE"])[0])

    assert told == [("device_lost", {"model": "llava_v1.5_7b", "benchmark": "POPE", "error": "the GPU is lost"})]


def test_names_are_read_until_an_empty_line_and_nothing_else_reads_them(tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("POPE\nMMStar\n\nBLINK\n")
    kept, given = os.dup(0), os.open(names, os.O_RDONLY)
    os.dup2(given, 0)
    try:
        with stdin_queue.names() as asked:
            seen = list(asked), os.read(0, 10)
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(given)

    assert seen == (["POPE", "MMStar"], b"")
