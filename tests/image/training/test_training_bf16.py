"""Fine-tuning in bf16 on a CPU: SDPA refuses a mix of dtypes there, and autocast leaves it one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import training_fixture
from training_fixture import Box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.make(tmp_path_factory.mktemp("bf16"))


@pytest.mark.parametrize(
    ("base", "method"),
    [("plain", "lora"), ("plain", "full"), ("next", "lora"), ("next", "full"), ("next", "projector"),
     ("mistral", "lora")],
)  # fmt: skip
def test_a_training_in_bf16_learns_and_its_export_loads(box: Box, tmp_path: Path, base: str, method: str) -> None:
    from vldock.image.training.loop import monitor
    from vldock.image.training.model import export

    words = (f"model.base={box.root / base}", f"model.method={method}", "train.precision=bf16", "train.proof=full",
             "train.max_steps=8", "train.save_every=8", "train.learning_rate=1e-2")  # fmt: skip
    run = box.train(tmp_path / "run", *words).folder

    log = {
        event: [line for line in monitor.read(run / monitor.LOG) if line["event"] == event]
        for event in ("start", "step")
    }
    losses = [line["loss"] for line in log["step"]]
    assert log["start"][0]["precision"] == "bf16"
    assert all(math.isfinite(loss) for loss in losses)
    assert sum(losses[-3:]) < sum(losses[:3])
    export.export(run, tmp_path / "llava-out", dtype="bf16")


def test_the_configuration_decides_and_not_accelerates_variable(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vldock.image.training.loop import monitor

    losses = []
    for left in ("no", "bf16"):
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", left)
        run = box.train(tmp_path / left, "train.precision=fp32").folder
        losses.append([line["loss"] for line in monitor.read(run / monitor.LOG) if line["event"] == "step"])

    assert losses[0] == losses[1] != []


def test_a_padded_batch_has_the_loss_it_has_in_float32(box: Box) -> None:
    """The mask holds: were padding attended, or a row of it nan, the loss would be another one."""
    import torch

    from vldock.image.training.data.batch import Collator
    from vldock.image.training.data.encode import Encoder
    from vldock.image.training.model import load as model_load

    losses = {}
    for precision in ("fp32", "bf16"):
        config = box.config(box.root / "unused", f"train.precision={precision}", "model.method=full",
                            "data.questions=[name, choice]")  # fmt: skip
        loaded = model_load.load(config, device="cpu")
        encoder = Encoder(loaded.tokenizer, loaded.processor, loaded.inner.config)
        batch = Collator(0, anyres=True)([encoder(record) for record in box.data(config).training[:4]])
        assert not batch["attention_mask"].all()
        with torch.inference_mode(), loaded.autocast():
            losses[precision] = float(loaded.model.eval()(**batch).loss)

    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=5e-3)
