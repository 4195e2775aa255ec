"""Proof of the first checkpoint.

It is read back after one step, and exported if small.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import InputRefused
from vldock.image.training.config import Config
from vldock.image.training.data.batch import Collator
from vldock.image.training.data.encode import Encoder
from vldock.image.training.data.records import Record
from vldock.image.training.loop.heldout import to_device
from vldock.image.training.model import checkpoint, export
from vldock.image.training.model.load import Loaded, trainable_parameters

SMALL = 1_000_000_000  # parameters; beyond, an export takes minutes and twice the memory
TOLERANCE = 1e-3  # of logits: merged adapters round otherwise


def prove(loaded: Loaded, config: Config, record: Record, folder: Path) -> str:
    """Save the first checkpoint, read it back, return the proof.

    The proof is a text.
    `folder` is removed afterwards, and the random state is restored.

    weights: every trained weight comes back bit for bit. full: the export loads as run.py loads it, and gives the same
    logits for `record`. Raises InputRefused where it does not: one step is lost, and not a training.
    """
    shutil.rmtree(folder, ignore_errors=True)
    devices = [torch.device(loaded.device)] if loaded.device != "cpu" else []
    try:
        with torch.random.fork_rng(devices=devices):
            checkpoint.save(loaded.model, loaded.tokenizer, folder / "checkpoint", config)
            _require_same_weights(loaded.model, folder / "checkpoint", config)
            size = sum(parameter.numel() for parameter in loaded.inner.parameters())
            if config.train.proof == "weights" or (config.train.proof == "auto" and size > SMALL):
                return f"{len(list(trainable_parameters(loaded.model)))} weights read back bit for bit"
            difference = _export_difference(loaded, config, record, folder)
            return f"exported and loaded; logits differ by at most {difference:.1e}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_same_weights(model: Any, folder: Path, config: Config) -> None:
    found = checkpoint.read(folder, config)
    wrong = [
        name
        for name, value in trainable_parameters(model)
        if name not in found or not torch.equal(found[name], value.detach().cpu().to(found[name].dtype))
    ]
    if wrong:
        raise InputRefused(
            f"the first checkpoint does not hold what was trained: {wrong[0]} and {len(wrong) - 1} more",
            expected="every trained weight, bit for bit",
            hint="this is a fault of vldock, not of the data: report it with config.yaml",
        )


def _export_difference(loaded: Loaded, config: Config, record: Record, folder: Path) -> float:
    merged = export.merge(config, folder / "checkpoint")
    export.write(merged, folder / "export", torch.float32)
    again = export.require_loads(folder / "export")
    ours, theirs = _logits(loaded, record, config), _logits(again, record, config)
    difference = float((ours - theirs).abs().max() / ours.abs().max().clamp_min(1e-6))
    limit = TOLERANCE if loaded.precision == "fp32" else 0.1
    if ours.shape != theirs.shape or difference > limit:
        raise InputRefused(
            f"the export of the first checkpoint answers otherwise: logits differ by {difference:.1e} of the largest",
            expected=f"at most {limit:.0e}",
            hint="this is a fault of vldock, not of the data: report it with config.yaml",
        )
    return difference


def _logits(loaded: Loaded, record: Record, config: Config) -> torch.Tensor:
    model = loaded.inner
    encoder = Encoder(loaded.tokenizer, loaded.processor, model.config, accept=config.data.accept)
    batch = Collator(loaded.tokenizer.pad_token_id, anyres=loaded.anyres)([encoder(record)])
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), loaded.autocast():
            return model(**to_device(batch, loaded.device), use_cache=False).logits.float().cpu()
    finally:
        model.train(was_training)
