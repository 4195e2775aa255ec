"""A run watched: warnings of norm and loss, halved batches that grow again, tracebacks in its folder, a late base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import training_fixture
from training_fixture import Box, weights_of

from vldock.common.errors import UsageError
from vldock.image.training import run_folder
from vldock.image.training.error_log import ERRORS
from vldock.image.training.loop import monitor, rows_at_once, run_page, trainer
from vldock.image.training.model import load as model_load
from vldock.image.weights import model_files


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


def events(run: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in monitor.read(run / monitor.LOG) if line["event"] == name]


def test_a_loss_far_from_usual_is_warned_of_once_in_log_and_page(box: Box, tmp_path: Path) -> None:
    run = box.train(tmp_path / "run", "train.max_steps=4").folder

    said = [line["message"] for line in events(run, "warning") if line["kind"] == "loss_range"]
    assert len(said) == 1
    assert said[0].startswith("step 1: loss ")
    assert "fresh or random weights begin near" in said[0]
    assert said[0] in (run / run_page.PAGE).read_text()


def test_a_halved_batch_grows_again_after_good_updates_and_learns_the_same(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train.max_steps=4", "train.save_every=1", "train.heldout_samples=1", "model.lora_dropout=0")
    whole = box.train(tmp_path / "whole", *words).folder
    compute, sizes = trainer.FineTuner.compute_loss, []

    def short_once(self: Any, model: Any, inputs: Any, return_outputs: bool = False) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes == [2, 2]:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return compute(self, model, inputs, return_outputs)

    monkeypatch.setattr(trainer.FineTuner, "compute_loss", short_once)
    monkeypatch.setattr(rows_at_once, "GOOD", 1)
    run = box.train(tmp_path / "run", *words).folder

    assert sizes == [2, 2, 1, 1, 2, 2]
    assert [(line["step"], line["rows_at_once"]) for line in events(run, "batch")] == [(2, 2)]
    losses = [[line["loss"] for line in events(folder, "step")] for folder in (whole, run)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_an_attempt_to_grow_that_fails_doubles_the_wait() -> None:
    rows = rows_at_once.RowsAtOnce(8)
    error = torch.cuda.OutOfMemoryError("CUDA out of memory")
    rows.halve(error)
    for _ in range(rows_at_once.GOOD):
        rows.count_update()

    assert (rows.grow(), rows.now) == (True, 8)
    rows.halve(error)
    for _ in range(rows_at_once.GOOD):
        rows.count_update()
    assert (rows.grow(), rows.now, rows.wait) == (False, 4, 2 * rows_at_once.GOOD)


def test_a_failed_run_keeps_its_traceback_without_the_token(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-of-mine")

    def fails(*_: Any) -> Any:
        raise KeyError("secret-of-mine and hf_abcdefghijkl")

    monkeypatch.setattr(trainer.FineTuner, "compute_loss", fails)
    for _ in range(2):
        with pytest.raises(KeyError):
            box.train(tmp_path / "run")

    kept = (tmp_path / "run" / ERRORS).read_text()
    assert kept.count("Traceback (most recent call last)") == 2
    assert "trainer.py" in kept
    assert "KeyError: '*** and ***'" in kept


def test_a_base_that_appears_while_it_is_loaded_is_the_base_a_resumed_run_has(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from the Hub in a run without a preflight: nothing is there when the folder is claimed."""
    load, base = model_load.load, tmp_path / "base"
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "0")
    words = (f"model.base={base}", "train.max_steps=2", "train.save_every=1")

    def downloads(*args: Any, **options: Any) -> Any:
        shutil.copytree(box.root / "next", base, dirs_exist_ok=True)
        return load(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(model_load, "load", downloads)
        patch.setattr(trainer.FineTuner, "grow_rows", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            box.train(tmp_path / "run", *words)
    known = json.loads((tmp_path / "run" / run_folder.RUN).read_text())["base_sha256"]
    resumed = box.train(tmp_path / "run", *words)

    assert (resumed.resumed_from, known) == (1, model_files.digest(str(base)))
    assert weights_of(resumed.folder / "last") == weights_of(box.train(tmp_path / "whole", *words).folder / "last")


def test_another_base_in_the_place_of_the_first_is_another_run(tmp_path: Path) -> None:
    (tmp_path / run_folder.RUN).write_text('{"base_sha256": "one"}')

    with pytest.raises(UsageError, match="base_sha256 was one, is two"):
        run_folder.require_base(tmp_path, "two", resumed=True)
