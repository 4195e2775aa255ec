"""Checkpoints in the formats llava.model.builder.load_pretrained_model reads.

full             a whole LLaVA: config.json, model.safetensors; the tower only where the base has its own
lora, qlora      adapter_config.json, adapter_model.safetensors, non_lora_trainables.bin, config.json (with model_base)
projector        mm_projector.bin, config.json (with model_base)

Nothing here needs deepspeed, which LLaVA's train.py imports when it saves adapters: after the training.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import InputRefused
from vldock.image.training.config import Config
from vldock.image.training.model.load import ADAPTED, Loaded, trainable_parameters

KEPT = 3  # checkpoints at once: the best, the last, and the one being written
NON_LORA, PROJECTOR = "non_lora_trainables.bin", "mm_projector.bin"
ADAPTER = "adapter_model.safetensors"


def save(model: Any, tokenizer: Any, folder: Path, config: Config) -> None:
    """Write trained weights, config and tokenizer into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    method = config.model.method
    if method == "full":
        write_whole(inner, folder)
    else:
        others = {
            name: value.detach().cpu().clone() for name, value in trainable_parameters(model) if "lora_" not in name
        }
        torch.save(others, folder / (NON_LORA if method in ADAPTED else PROJECTOR))
        inner.config.save_pretrained(folder)
    if method in ADAPTED:
        model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    tokenizer.save_pretrained(folder)


def publish_projector(model: Any, run: Path, config: Config) -> None:
    """Write a trained projector as RUN/mm_projector.bin, LLaVA's name and place for it.

    Nothing is written for the other methods.
    """
    if config.model.method != "projector":
        return
    partial = run / f".{PROJECTOR}.partial"
    with partial.open("wb") as stream:
        torch.save({name: value.detach().cpu().clone() for name, value in trainable_parameters(model)}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(run / PROJECTOR)


def load(model: Any, folder: Path, config: Config) -> None:
    """Load into `model` the weights written by `save`.

    Raises InputRefused where a trained weight is missing or does not fit.
    """
    found = read(folder, config)
    wanted = dict(trainable_parameters(model))
    wrong = sorted(name for name, value in wanted.items() if name not in found or found[name].shape != value.shape)
    if wrong:
        raise InputRefused(
            f"{folder} has no fitting {wrong[0]} ({len(wrong)} of {len(wanted)} weights do not fit)",
            expected="a checkpoint of this base with these model.* settings",
            hint="resume with the config.yaml beside the checkpoints",
        )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(found[name].to(parameter.dtype))


def read(folder: Path, config: Config) -> dict[str, torch.Tensor]:
    """Return a checkpoint's tensors by their names in the LLaVA.

    Raises InputRefused where a file of it is missing.
    """
    from safetensors.torch import load_file

    method = config.model.method
    try:
        if method == "full":
            shards = sorted(folder.glob("model*.safetensors"))
            if not shards:
                raise FileNotFoundError(folder / "model.safetensors")
            return {name: value for shard in shards for name, value in load_file(shard).items()}
        adapters = load_file(folder / ADAPTER) if method in ADAPTED else {}
        others: dict[str, torch.Tensor] = torch.load(
            folder / (NON_LORA if method in ADAPTED else PROJECTOR), map_location="cpu"
        )
        return {_name_in_model(name): value for name, value in adapters.items()} | others
    except FileNotFoundError as error:
        raise InputRefused(f"{error.filename or error} is missing", expected="a checkpoint written by train") from error


def _name_in_model(name: str) -> str:
    """Return the model's name of a tensor in peft's file.

    peft leaves the adapter's own name out.
    """
    return re.sub(r"(lora_[AB])\.weight", r"\1.default.weight", name.removeprefix("base_model.model."))


def has_own_tower(model: Any) -> bool:
    """Return whether the checkpoint contains its own tower.

    LLaVA-NeXT's tower was trained; LLaVA-1.5 has openai's.
    """
    return bool(getattr(model.config, "unfreeze_mm_vision_tower", False))


def state_of(model: Any) -> Mapping[str, torch.Tensor]:
    """Return a LLaVA's weights as its checkpoint contains them."""
    state: Mapping[str, torch.Tensor] = model.state_dict()
    return (
        state if has_own_tower(model) else {name: value for name, value in state.items() if "vision_tower" not in name}
    )


def write_whole(model: Any, folder: Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a whole LLaVA: safetensors shards, config, generation config.

    Weights are converted to `dtype` where it is given.
    """
    state = {name: value if dtype is None else value.to(dtype) for name, value in state_of(model).items()}
    kept = model.config.use_cache, model.config.torch_dtype
    model.config.use_cache = True
    try:
        model.save_pretrained(folder, state_dict=state, safe_serialization=True)
    finally:
        model.config.use_cache, model.config.torch_dtype = kept


def sweep(run: Path) -> list[Path]:
    """Remove incomplete checkpoints of a killed process; return their paths."""
    left = [path for path in run.glob("tmp-checkpoint-*") if path.is_dir()]
    for path in left:
        shutil.rmtree(path)
    return left


def bytes_needed(loaded: Loaded) -> int:
    """Return the most bytes a run's checkpoints take."""
    return KEPT * 12 * int(sum(parameter.numel() for _, parameter in trainable_parameters(loaded.model)))
