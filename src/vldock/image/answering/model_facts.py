"""Device, dtype and attention of a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vldock.common.inference_options import SDPA
from vldock.image import cuda_device

REMOTE_CODE = "transformers_modules"  # transformers' package for a checkpoint's own code


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
    return Facts(device, str(weights.dtype).removeprefix("torch."), _attention(inner))


def _attention(inner: Any) -> str:
    """Return the attention of a model's language model, and of a LLaVA's tower where it is SDPA.

    transformers' setting applies to classes that declare several; other remote code has its own.
    """
    several = getattr(inner, "_supports_sdpa", False) or getattr(inner, "_supports_flash_attn_2", False)
    if type(inner).__module__.startswith(REMOTE_CODE) and not several:
        return "remote code"
    found = getattr(getattr(inner, "config", None), "_attn_implementation", None) or "eager"
    return f"{found}, tower {SDPA}" if _tower_attention(inner) == SDPA else str(found)


def _tower_attention(inner: Any) -> str | None:
    """Return what llava_hooks.tower_attention set in a LLaVA's CLIP tower; None without one."""
    find = getattr(inner, "get_vision_tower", None)
    model = getattr(find() if callable(find) else None, "vision_tower", None)
    return getattr(getattr(model, "config", None), "_attn_implementation", None)
