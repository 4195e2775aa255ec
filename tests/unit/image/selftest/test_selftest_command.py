"""The self-test's command line: device, work folder, table and JSON."""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.image.selftest import command, inference
from vldock.image.selftest.report import Report
from vldock.image.selftest.steps import Step

QUIET: Any = lambda line: None  # noqa: E731
MODEL = inference.MODEL


def report(*steps: Step) -> Report:
    return Report("NVIDIA H200", False, 4, 181.6, steps)


def test_the_table_has_its_verdict_on_top_and_a_row_for_each_step():
    lines = report(Step("LoRA", "passed", 9.5, "3 steps"), Step("QLoRA", "failed", 1.0, "no\N{EN DASH}go")).table()

    assert lines.splitlines()[0] == "selftest FAILED on NVIDIA H200 in 182 s"
    assert [line.split()[:3] for line in lines.splitlines()[2:]] == [
        ["LoRA", "passed", "9.5"],
        ["QLoRA", "FAILED", "1.0"],
    ]


def test_no_line_of_the_table_is_wider_than_asked():
    table = report(Step("session", "passed", 1.0, "word " * 60)).table(width=80)

    assert max(map(len, table.splitlines())) <= 80


def test_the_json_says_whether_it_passed_and_what_each_step_measured():
    found = report(Step("LoRA", "passed", 9.5, "3 steps", {"steps": 3}), Step("QLoRA", "needs a GPU", 0, "")).as_json()

    assert (found["passed"], found["device"], found["standin"]) == (True, "NVIDIA H200", True)
    assert found["steps"][0]["figures"] == {"steps": 3}


def test_without_a_gpu_one_that_is_asked_for_is_exit_3(monkeypatch):
    monkeypatch.setattr(command, "visible_gpus", list)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)

    with pytest.raises(EnvironmentUnfit, match="torch sees no GPU") as raised:
        command.main(parser.parse_args(["--gpu"]))

    assert raised.value.exit_code == 3


@pytest.mark.parametrize(("temporary", "parent"), [("/dev/shm/x", "outputs"), ("tmp", "tmp")])
def test_small_memory_is_no_place_for_what_a_self_test_writes(tmp_path, monkeypatch, temporary, parent):
    for name in ("outputs", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("VLDOCK_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)

    assert command.make_temporary_folder().parent == tmp_path / parent


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentUnfit, match="--work-dir"), command.work_folder(tmp_path / "file"):
        pass
