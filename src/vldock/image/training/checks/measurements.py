"""Preflight measurements: loss, gradients, memory over twenty steps, disk space."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from llava.constants import IMAGE_TOKEN_INDEX

from vldock.common.check import MARK, Check
from vldock.image import cuda_device
from vldock.image.llava_hooks.positions import count_in_prompt, count_per_image
from vldock.image.training.config import Config
from vldock.image.training.data.encode import Encoded
from vldock.image.training.loop.monitor import memory
from vldock.image.training.loop.watches import unusual_loss
from vldock.image.training.model.checkpoint import KEPT, bytes_needed
from vldock.image.training.model.load import Loaded, trainable_parameters

STEPS = 20
GROWTH = 64_000_000  # bytes over half the steps that still count as flat


def make_check(name: str, ok: bool, expected: str, seen: str, cure: str = "") -> Check:
    """Return a Check with status ok or fail."""
    return Check(name, "ok" if ok else "fail", seen, expected, cure or None)


def render(check: Check) -> str:
    """Return a check as lines: expected, seen, and the remedy.

    The remedy is given where the check failed, and a note where it warns.
    """
    line = f"{MARK[check.status]} {check.name}: expected {check.expected}; seen {check.seen}"
    word = "cure" if check.status == "fail" else "note"
    return line if check.status == "ok" or not check.hint else f"{line}\n     {word}: {check.hint}"


def count_positions(item: Encoded, loaded: Loaded) -> int:
    """Return a record's number of positions in this model, before truncation."""
    return count_in_prompt(item.ids.tolist(), count_image_positions(item, loaded), token=IMAGE_TOKEN_INDEX)


def count_image_positions(item: Encoded, loaded: Loaded) -> list[int]:
    """Return the number of positions of each of a record's images in this model."""
    images = list(item.images) if loaded.anyres else torch.stack(item.images)
    return count_per_image(loaded.inner, images, item.sizes)


def check_disk(loaded: Loaded, config: Config) -> Check:
    """Check disk space: float32 weights and two optimizer moments per checkpoint."""
    count = sum(parameter.numel() for _, parameter in trainable_parameters(loaded.model))
    wanted = bytes_needed(loaded)
    there = next(path for path in (Path(config.out).absolute(), *Path(config.out).absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    return make_check(
        "disk space for checkpoints",
        free > wanted,
        f"{wanted / 1e9:.2f} GB for {KEPT} checkpoints of {count:,} trained weights",
        f"{free / 1e9:.2f} GB free at {there}",
        "out=FOLDER on a larger disk",
    )


def check_steps(loaded: Loaded, batches: list[dict[str, Any]]) -> Iterator[Check]:
    """Run twenty forward and backward passes without an update; yield the checks."""
    model = loaded.model
    model.train()
    losses, held = [], []
    for step in range(STEPS):
        with torch.enable_grad(), loaded.autocast():
            loss = model(**batches[step % len(batches)]).loss
        loss.backward()
        losses.append(float(loss))
        if step == 0:
            yield _gradients(loaded)
        model.zero_grad(set_to_none=True)
        held.append(_held(loaded.device))
    yield check_loss(losses, loaded.inner.get_input_embeddings().weight.shape[0])
    growth = held[-1] - held[len(held) // 2]
    yield make_check(
        f"memory over {STEPS} steps", growth < GROWTH, f"less than {GROWTH / 1e6:.0f} MB more in the second half",
        f"{growth / 1e6:+.1f} MB", "something keeps tensors of earlier steps",
    )  # fmt: skip


def check_loss(losses: list[float], tokens: int) -> Check:
    """Check the losses of a base before training; warn outside what is usual for a trained LLaVA."""
    top = 1.5 * math.log(tokens)
    seen = f"{min(losses):.3f} to {max(losses):.3f}"
    sane = all(math.isfinite(loss) and 0 < loss < top for loss in losses)
    found = make_check(
        "loss", sane, f"above 0, below {top:.2f} (1.5 times that of a guess among all tokens)", seen,
        "0: the labels are masked away; too high or nan: wrong precision, or weights that do not belong together",
    )  # fmt: skip
    note = unusual_loss(statistics.fmean(losses), tokens) if sane else None
    return replace(found, status="warn", hint=note) if note else found


def _gradients(loaded: Loaded) -> Check:
    """Check that every trained weight, and no other, got a gradient."""
    wanted = dict(trainable_parameters(loaded.model))
    # LoRA's B starts at zero, so A's first gradient is zero: there, not large
    without = [name for name, parameter in wanted.items() if parameter.grad is None]
    others = [(name, p) for name, p in loaded.model.named_parameters() if not p.requires_grad]
    strange = [name for name, parameter in others if parameter.grad is not None]
    wild = [name for name, p in wanted.items() if p.grad is not None and not torch.isfinite(p.grad).all()]
    bad = without[:1] + strange[:1] + wild[:1]
    return make_check(
        "gradients reach what trains and nothing else",
        not bad and bool(wanted),
        f"{len(wanted)} of {len(wanted)} trained weights, 0 others, all finite",
        f"{len(wanted) - len(without)} of {len(wanted)}, {len(strange)} others" + (f"; {bad[0]}" if bad else ""),
        "model.method names what trains",
    )


def _held(device: str) -> int:
    return memory(device) if device == "cpu" else cuda_device.allocated_bytes(device)
