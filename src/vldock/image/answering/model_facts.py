"""Device, dtype and attention of a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vldock.image import cuda_device


@dataclass(frozen=True)
class Facts:
    """Device, dtype and attention implementation of a loaded model."""

    device: str
    dtype: str
    attention: str


def facts_of(model: Any) -> Facts:
    """Return device, dtype and attention of a VLMEvalKit model.

    They are read from its weights.
    """
    inner = getattr(model, "model", model)
    weights = next((p for p in getattr(inner, "parameters", list)() if p.is_floating_point()), None)
    if weights is None:
        return Facts("unknown", "unknown", "unknown")
    device = cuda_device.name_of(weights.device) if weights.is_cuda else str(weights.device)
    attention = getattr(getattr(inner, "config", None), "_attn_implementation", None) or "eager"
    return Facts(device, str(weights.dtype).removeprefix("torch."), attention)
