"""Check of each model: its memory on this device, its attention, what it was tried with."""

from __future__ import annotations

import os
from collections.abc import Mapping

from vldock.common import standin_choice
from vldock.common.check import Check
from vldock.common.matrix import MODELS, Model
from vldock.image.doctor import hardware
from vldock.image.process import stats as process_stats


def check_models(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Check which models this device has the memory for.

    That of its largest GPU, else what is free within the container's limit.
    """
    if standin_choice.read_choice(environ):
        return [Check("models", "ok", "stand-ins, which run on any device")]
    gpus = hardware.read_machine().gpus
    memory = max(gpu.memory for gpu in gpus) * 2**30 if gpus else process_stats.free_memory()
    return [judge(model, memory / 1e9, on_gpu=bool(gpus)) for model in MODELS]


def judge(model: Model, memory: float, *, on_gpu: bool) -> Check:
    """Return the finding about one model; `memory` is in GB.

    A model of the default matrix that a GPU cannot hold is a warning; any other is left out.
    """
    name, tried = f"model {model.name}", f"tried with {' and '.join(model.tried)}"
    needed = model.gpu_memory if on_gpu else model.cpu_memory
    have = f"the GPU has {memory:.0f}" if on_gpu else f"in float32, {memory:.0f} are free"
    seen = f"{model.attentions} attention; needs about {needed:.0f} GB, {have}; {tried}"
    if needed <= memory:
        return Check(name, "ok", seen)
    return Check(name, "warn" if on_gpu and model.in_matrix else "skip", seen, f"{needed:.0f} GB")
