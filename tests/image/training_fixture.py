"""A tiny LLaVA-NeXT, a tiny LLaVA-1.5, drawn flowers, and short trainings of them: input of the fine-tuning tests."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vldock.image.training import config, dataset
from vldock.image.training.config import Config
from vldock.image.training.data.records import Record
from vldock.image.training.dataset import Dataset
from vldock.image.training.demo import flowers as demo_flowers
from vldock.image.training.fit import Result, fit
from vldock.image.training.loop import monitor

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Box:
    """Where the base, its tower and the flowers lie; made once, only read."""

    root: Path

    def config(self, out: Path, *words: str) -> Config:
        """Return a configuration of a few steps, with `words` over it."""
        few = [
            f"out={out}", "data.source=archive", f"data.path={self.root / 'flowers'}", "data.choices=6",
            "data.questions=[choice]", f"model.base={self.root / 'next'}", "model.method=lora", "model.lora_r=4",
            "model.lora_alpha=8", "train.max_steps=2", "train.batch_size=2", "train.accumulation=1", "train.clip=1.0",
            "train.learning_rate=1e-3", "train.save_every=2", "train.log_every=1", "train.heldout_samples=2",
            "train.answer_tokens=2", "train.proof=weights",
        ]  # fmt: skip
        return config.load(None, [*few, *words])

    def data(self, made: Config) -> Dataset:
        """Return the configuration's data, its held-out part short."""
        found = dataset.load(made.data)
        return Dataset(found.training, found.heldout[:2], found.names)

    def train(self, out: Path, *words: str) -> Result:
        """Train for a few steps."""
        made = self.config(out, *words)
        return fit(made, self.data(made), log=lambda _: None)

    def altered(self, out: Path, *, base: str = "next", file: str = "config.json", **values: object) -> Path:
        """Return a copy of a base with values of one of its JSON files changed; None removes a key."""
        shutil.copytree(self.root / base, out)
        path = out / file
        changed = {**json.loads(path.read_text()), **values}
        path.write_text(json.dumps({name: value for name, value in changed.items() if value is not None}))
        return out


def size_of(record: Record) -> tuple[int, int]:
    """Return width and height of a record's picture."""
    from PIL import Image

    with Image.open(record.pictures[0].path) as image:
        size: tuple[int, int] = image.size
    return size


def encoded(box: Box, base: str) -> tuple[Any, Any, Any]:
    """Return (loaded model, its data, its encoder)."""
    from vldock.image.training.data.encode import Encoder
    from vldock.image.training.model import load as model_load

    made = box.config(box.root / "unused", f"model.base={box.root / base}")
    loaded = model_load.load(made, device="cpu")
    return loaded, box.data(made), Encoder(loaded.tokenizer, loaded.processor, loaded.inner.config)


def last_features(run: Path) -> dict[str, Any]:
    """Return the last totals of the feature cache in a run's log."""
    return [line for line in monitor.read(run / monitor.LOG) if line["event"] == "features" and "read" in line][-1]


def weights_of(folder: Path) -> dict[str, bytes]:
    """Return {name: bytes} of the trained weights in a checkpoint with adapters or of a projector."""
    import torch
    from safetensors.torch import load_file

    found = {}
    for path in folder.glob("adapter_model.safetensors"):
        found |= load_file(path)
    for path in (*folder.glob("non_lora_trainables.bin"), *folder.glob("mm_projector.bin")):
        found |= torch.load(path)
    assert found, f"{folder} holds no trained weights"
    return {name: value.numpy().tobytes() for name, value in found.items()}


def shared(factory: pytest.TempPathFactory) -> Box:
    """Return the one box of this process: the modules that only read it make it once."""
    root = factory.getbasetemp() / "training-box"
    return Box(root) if root.is_dir() else make(root)


def make(root: Path) -> Box:
    """Draw the flowers and write the bases: next (anyres, spatial_unpad) and plain (pad), on one tower."""
    demo_flowers.write_flowers(root / "flowers", training=2, heldout=1)
    demo_flowers.write_base(root / "next", root / "tower", width=32, layers=2)
    box = Box(root)
    box.altered(root / "plain", image_aspect_ratio="pad", mm_patch_merge_type="flat", image_grid_pinpoints=None)
    _mistral(root)
    _own_tower(root)
    return box


def _mistral(root: Path) -> None:
    """Write a LLaVA-NeXT of the Mistral kind, as liuhaotian/llava-v1.6-mistral-7b is one."""
    from llava.model.language_model.llava_mistral import LlavaMistralConfig, LlavaMistralForCausalLM

    shutil.copytree(root / "next", root / "mistral")
    (root / "mistral" / "model.safetensors").unlink()
    values = json.loads((root / "next" / "config.json").read_text())
    values = {name: value for name, value in values.items() if name not in ("model_type", "architectures")}
    _saved(LlavaMistralForCausalLM(LlavaMistralConfig(**values)), root / "mistral")


def _own_tower(root: Path) -> None:
    """Write a LLaVA-NeXT whose tower was trained and is part of it, as liuhaotian/llava-v1.6-vicuna-7b's is."""
    from llava.model.language_model.llava_llama import LlavaConfig, LlavaLlamaForCausalLM

    shutil.copytree(root / "next", root / "tuned")
    values = json.loads((root / "next" / "config.json").read_text()) | {"unfreeze_mm_vision_tower": True}
    model = LlavaLlamaForCausalLM(LlavaConfig(**values))
    model.model.vision_tower.vision_tower.vision_model.pre_layrnorm.weight.data.fill_(7.0)
    _saved(model, root / "tuned")


def _saved(model: Any, folder: Path) -> None:
    """Write a model; LLaVA leaves image_newline as the memory was."""
    model.model.image_newline.data.normal_()
    model.save_pretrained(folder)
