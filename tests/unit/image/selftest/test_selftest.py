"""Failures of the self-test's steps; whole steps run in the image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from vldock.common.cell_record import Cell
from vldock.common.errors import EvaluationFailed
from vldock.image.selftest import cells, inference, samples, train
from vldock.image.selftest.context import CompletedCommand, NeedsGpu, StepContext, StepResult
from vldock.image.selftest.steps import run_step

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
