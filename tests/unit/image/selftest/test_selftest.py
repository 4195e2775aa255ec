"""The self-test's own parts: how commands are run, what fails a step, and what is told. The steps run in the image."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from support import wait_until

from vldock.common.cell_record import Cell
from vldock.common.errors import EnvironmentUnfit, EvaluationFailed
from vldock.image.selftest import cells, command, inference, samples, train
from vldock.image.selftest import context as contexts
from vldock.image.selftest.context import CompletedCommand, NeedsGpu, StepContext, StepResult
from vldock.image.selftest.report import Report
from vldock.image.selftest.steps import Step, run_step

QUIET: Any = lambda line: None  # noqa: E731
MODEL = inference.MODEL


def context(folder: Path, *, gpu: bool = False, seconds: float = 30.0) -> StepContext:
    return StepContext(folder, gpu, True, 3, seconds)


def cell(context: StepContext, engine: str, answers: dict[str, str], **more: Any) -> None:
    """Write a cell of POPE as `evaluate` leaves it."""
    folder = cells.cell_folder(context, engine, MODEL, "POPE")
    values = dict.fromkeys(Cell.__dataclass_fields__) | {"status": "succeeded", "samples": 2, "predictions": 2}
    Cell(**(values | {"score": 1.0, "device": "cpu", "dtype": "float32", "schema": 1} | more)).save(folder)
    book = openpyxl.Workbook()
    for row in (("index", "prediction"), *answers.items()):
        book.worksheets[0].append(row)
    book.save(folder / f"{MODEL}_POPE.xlsx")
    notes = [{"index": index, "answer": [len(answer)]} for index, answer in answers.items()]
    text = "".join(json.dumps(note) + "\n" for note in notes)
    (folder / f"{MODEL}_POPE_prompts.jsonl").write_text(text, encoding="utf-8")


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
    """Return a process's state as the kernel tells it, `gone` where there is none."""
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


@pytest.mark.parametrize(
    ("error", "status", "seen"),
    [
        (NeedsGpu("4 bits"), "needs a GPU", "4 bits"),
        (EvaluationFailed("no score", expected="one"), "failed", "no score; expected one"),
        (KeyError("models"), "failed", "KeyError: 'models'"),
    ],
    ids=["left out", "failed", "broken"],
)
def test_whatever_stops_a_step_is_its_own_row(tmp_path, error, status, seen):
    def work(context: StepContext) -> StepResult:
        raise error

    step = run_step("one", work, context(tmp_path), log=QUIET)

    assert (step.status, step.seen) == (status, seen)


def test_engines_that_answer_alike_are_equal(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "QUICK", ("POPE",))
    for engine in ("stock", "batched"):
        cell(context(tmp_path), engine, {"0": "Yes", "1": "No"})

    assert cells.compare(context(tmp_path)).line == "2 cells: 0 of 2 answers differ, 0 of 2 tokens"


def test_an_answer_that_differs_fails_the_comparison_and_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "QUICK", ("POPE",))
    cell(context(tmp_path), "stock", {"0": "Yes", "1": "No"})
    cell(context(tmp_path), "batched", {"0": "Yes", "1": "Yes"})

    with pytest.raises(EvaluationFailed, match=r"1 of 2 answers differ.*first in llava_v1.5_7b x POPE"):
        cells.compare(context(tmp_path))


@pytest.mark.parametrize(
    ("gpu", "more", "why"),
    [
        (False, {"status": "failed", "error": "no TSV"}, "has no score: no TSV"),
        (False, {"predictions": 1}, "1 of 2 answers"),
        (True, {}, "computed in float32 on cpu"),
        (True, {"device": "NVIDIA H200"}, "computed in float32 on NVIDIA H200"),
    ],
)
def test_a_cell_that_is_not_whole_or_ran_elsewhere_fails(tmp_path, gpu, more, why):
    cell(context(tmp_path), "stock", {"0": "Yes", "1": "No"}, **more)

    with pytest.raises(EvaluationFailed, match=why):
        cells.load_cell(context(tmp_path, gpu=gpu), "stock", MODEL, "POPE")


def test_a_run_that_loaded_its_own_model_beside_a_session_fails_the_step(tmp_path, monkeypatch):
    alone = CompletedCommand(0, "", "session: a session was here and is gone: loading in this process\n")
    monkeypatch.setattr(StepContext, "run", lambda *_, **__: alone)
    monkeypatch.setattr(StepContext, "start", lambda *_, **__: _Ended())
    monkeypatch.setattr(inference, "_ready", lambda *_: None)
    monkeypatch.setattr(inference, "_status", lambda *_: {"models": [{"answers": 0}]})
    cell(context(tmp_path), "session", {"0": "Yes"})

    with pytest.raises(EvaluationFailed, match="the session's worker gave 0 of 1 answers: session: a session was"):
        inference.session(context(tmp_path))


class _Ended:
    """A process that has ended, with nothing left of its group."""

    pid, returncode = 2**22 + 1, 0  # beyond the kernel's largest number

    def poll(self) -> int:
        return 0

    def wait(self) -> int:
        return 0


def test_four_bits_are_left_out_on_a_cpu(tmp_path):
    with pytest.raises(NeedsGpu, match="bitsandbytes"):
        train.qlora(context(tmp_path))


@pytest.mark.parametrize("losses", [[1.0, 2.0], [1.0, float("nan"), 2.0], [1.0, 0.0, 2.0]])
def test_steps_that_are_missing_or_no_numbers_fail(tmp_path, losses):
    lines = [json.dumps({"event": "step", "loss": loss}) for loss in losses]
    (tmp_path / "log.jsonl").write_text("\n".join(lines), encoding="utf-8")

    with pytest.raises(EvaluationFailed, match="the losses are"):
        train._losses(tmp_path)


def test_no_picture_is_trained_on_and_held_out(tmp_path):
    files = samples.write_conversations(train.PICTURES, tmp_path, training=8, heldout=2)
    training, heldout = (
        {(tmp_path / record["image"]).read_bytes() for record in json.loads(path.read_text())} for path in files
    )
    assert (len(training), len(heldout), training & heldout) == (8, 2, set())


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
