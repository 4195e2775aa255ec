"""Checkpoints and exports: in LLaVA's formats, proven after one step, answering as in training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import training_fixture
from training_fixture import Box

from vldock.common.errors import InputRefused


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture(scope="module")
def run(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps that nothing disturbed; only read."""
    return box.train(tmp_path_factory.mktemp("trained") / "run", "train.answer_tokens=3").folder


def test_adapters_are_saved_without_deepspeed_and_load_as_llava_loads_them(box: Box, run: Path) -> None:
    import torch
    from llava.model.builder import load_pretrained_model

    from vldock.image.training.model import export

    checkpoint = (run / "best").resolve()

    ours = export.merge(box.config(run), checkpoint).inner.state_dict()
    _, theirs, _, _ = load_pretrained_model(str(checkpoint), str(box.root / "next"), "llava-lora", device="cpu")

    assert all(torch.allclose(ours[name], value, atol=1e-6) for name, value in theirs.state_dict().items())
    assert "deepspeed" not in sys.modules


def test_training_moves_adapters_and_projector_and_no_other_weight(box: Box, run: Path) -> None:
    import torch

    from vldock.image.training.model import base as model_base
    from vldock.image.training.model import export

    _, before, _ = model_base.read(str(box.root / "next"), device="cpu", dtype=torch.float32)

    after = export.merge(box.config(run), (run / "best").resolve()).inner.state_dict()

    base = before.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, base[name])}
    assert moved
    assert all("mm_projector" in name or "image_newline" in name or "_proj." in name for name in moved)
    assert not any("vision_tower" in name for name in moved)


@pytest.mark.parametrize(
    ("base", "method"), [("next", "lora"), ("plain", "projector"), ("mistral", "lora"), ("tuned", "full")]
)
def test_the_first_checkpoint_is_exported_and_loaded_after_one_step(
    box: Box, tmp_path: Path, base: str, method: str
) -> None:
    from vldock.image.training.loop import monitor

    words = (f"model.base={box.root / base}", f"model.method={method}", "train.heldout_samples=1")
    box.train(tmp_path / "run", "train.proof=full", "train.max_steps=1", *words)

    proof = next(line for line in monitor.read(tmp_path / "run" / monitor.LOG) if line["event"] == "proof")
    assert "exported and loaded" in proof["proven"]
    assert not (tmp_path / "run" / ".proof").exists()


def test_a_tower_that_was_trained_is_the_checkpoints_and_is_exported(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.model import export
    from vldock.image.training.model import load as model_load
    from vldock.image.training.model.precision import DTYPES

    config = box.config(tmp_path, f"model.base={box.root / 'tuned'}", "model.method=full")
    loaded = model_load.load(config, device="cpu")
    export.write(loaded, tmp_path / "out", DTYPES["fp32"])

    again = export.require_loads(tmp_path / "out")

    for one in (loaded, again):
        norm = one.inner.get_vision_tower().vision_tower.vision_model.pre_layrnorm.weight
        assert set(norm.tolist()) == {7.0}


def test_a_first_checkpoint_that_cannot_be_loaded_ends_the_training_at_step_1(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vldock.image.training.model import checkpoint

    monkeypatch.setattr(checkpoint, "read", lambda folder, config: {})

    with pytest.raises(InputRefused, match="does not hold what was trained"):
        box.train(tmp_path / "run")


def test_the_run_page_has_plots_and_says_how_it_ended(run: Path) -> None:
    page = (run / "page.html").read_text()

    plots = {path.name for path in (run / "plots").iterdir()}
    assert {"loss.png", "accuracy.png", "gradient_norm.png"} <= plots
    assert page.count("data:image/png;base64,") == len(plots)
    assert "held-out accuracy" in page
    assert "http" not in page


@pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning")  # VLMEvalKit's temperature=0
def test_an_exported_model_answers_in_vlmevalkits_wrapper_as_in_training(box: Box, run: Path, tmp_path: Path) -> None:
    from vldock.image.training.model import export
    from vldock.image.vlmeval_hooks.models.own_llava import OwnLLaVA

    folder = export.export(run, tmp_path / "out" / "llava-tiny", dtype="fp32")
    answers = [json.loads(line) for line in (run / "answers.jsonl").read_text().splitlines()]
    record = next(one for one in box.data(box.config(tmp_path)).heldout if one.id == answers[0]["id"])
    with pytest.warns(UserWarning, match="Following kwargs received"):
        wrapper = OwnLLaVA(str(folder), max_new_tokens=3)
    image = {"type": "image", "value": str(record.pictures[0].path)}

    answer = wrapper.generate_inner([image, {"type": "text", "value": record.question}])

    assert answer == answers[0]["given"]
    assert "image_grid_pinpoints" in json.loads((folder / "config.json").read_text())
