"""Fine-tuning: what is refused before it trains, resuming bit for bit, halved batches, early ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import training_fixture
from training_fixture import Box, weights_of

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


def test_a_base_with_sampling_settings_that_contradict_each_other_is_trained_and_saved(
    box: Box, tmp_path: Path
) -> None:
    base = box.altered(tmp_path / "base", file="generation_config.json", temperature=0.9, top_p=0.6)

    with pytest.warns(UserWarning, match="only used in sample-based"):
        result = box.train(tmp_path / "run", f"model.base={base}", "model.method=full")

    saved = json.loads((result.folder / "best" / "generation_config.json").read_text())
    assert "temperature" not in saved
    assert (result.folder / "best" / "model.safetensors").is_file()


def test_an_anyres_base_without_its_grid_is_refused_before_it_trains(box: Box, tmp_path: Path) -> None:
    base = box.altered(tmp_path / "base", image_grid_pinpoints=None)

    with pytest.raises(InputRefused, match="no image_grid_pinpoints"):
        box.train(tmp_path / "run", f"model.base={base}")

    assert not list(tmp_path.glob("run/checkpoint-*"))


def test_four_bits_without_a_gpu_are_refused_with_what_works_here(box: Box, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="bitsandbytes") as refused:
        box.train(tmp_path / "run", "model.method=qlora")

    assert "model.method=lora" in refused.value.render()


class Killed(Exception):
    pass


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bits(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vldock.image.training.loop import monitor, trainer

    words = ("train.max_steps=5", "train.accumulation=2", "model.lora_dropout=0.3")
    whole = box.train(tmp_path / "whole", *words)
    step = trainer.FineTuner.training_step

    def dies(self: Any, *args: Any) -> Any:
        if self.state.global_step == 3:
            raise Killed
        return step(self, *args)

    monkeypatch.setattr(trainer.FineTuner, "training_step", dies)
    with pytest.raises(Killed):
        box.train(tmp_path / "parts", *words)
    monkeypatch.setattr(trainer.FineTuner, "training_step", step)
    (tmp_path / "parts" / "tmp-checkpoint-4").mkdir()
    parts = box.train(tmp_path / "parts", *words)

    assert (whole.resumed_from, parts.resumed_from) == (None, 2)
    assert weights_of(whole.folder / "last") == weights_of(parts.folder / "last")
    losses = [
        [line["loss"] for line in monitor.read(run.folder / monitor.LOG) if line["event"] == "step"]
        for run in (whole, parts)
    ]
    assert losses[0] == losses[1]
    assert not (tmp_path / "parts" / "tmp-checkpoint-4").exists()


def test_a_folder_of_another_run_is_not_continued(box: Box, tmp_path: Path) -> None:
    box.train(tmp_path / "run", "train.max_steps=1")

    with pytest.raises(UsageError, match=r"train\.learning_rate was 0\.001, is 0\.5"):
        box.train(tmp_path / "run", "train.max_steps=1", "train.learning_rate=0.5")


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from vldock.image.training.loop import trainer

    compute, sizes = trainer.FineTuner.compute_loss, []

    def full(self: Any, model: Any, inputs: Any, return_outputs: bool = False) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return compute(self, model, inputs, return_outputs)

    monkeypatch.setattr(trainer.FineTuner, "compute_loss", full)
    result = box.train(tmp_path / "run", "train.batch_size=4", "train.max_steps=1")

    assert (result.steps, sizes[:3], set(sizes[2:])) == (1, [4, 2, 1], {1})


def test_one_row_that_does_not_fit_is_told_with_what_to_lower() -> None:
    from vldock.image.training.loop import rows_at_once

    with pytest.raises(EnvironmentUnfit) as refused:
        rows_at_once.halve_batch(1, RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))

    assert "2 GiB" in refused.value.message
    assert "model.method=qlora" in refused.value.render()


def test_a_loss_that_is_no_number_ends_the_training(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vldock.image.training.loop import trainer

    compute = trainer.FineTuner.compute_loss
    monkeypatch.setattr(trainer.FineTuner, "compute_loss", lambda *given: compute(*given) * float("nan"))

    with pytest.raises(trainer.Diverged, match="the loss is nan at step 1"):
        box.train(tmp_path / "run")


@pytest.mark.parametrize(
    ("scores", "stops"),
    [
        ([0.1, 0.2, 0.3], False),
        ([0.1, 0.5, 0.4, 0.5], True),
        ([0.5, 0.4], False),
        ([], False),
        ([0.1, 0.5, 0.4], False),
    ],
    ids=["better", "not better twice", "too few", "none", "once"],
)
def test_it_stops_after_patience_scores_without_a_better_one(scores: list[float], stops: bool) -> None:
    from vldock.image.training.loop import monitor

    assert monitor.has_stalled(scores, 2) is stops
    assert monitor.has_stalled(scores, 0) is False
