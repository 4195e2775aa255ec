"""Precision of a training, and attention's dtypes under CPU autocast.

CUDA autocast casts all that scaled_dot_product_attention reads; CPU autocast casts nothing of it, and a mix is refused.
Beside a bfloat16 query the mask has the dtype of the embeddings (float32 where these, or LLaVA's image_newline, learn),
and keys and values of earlier tokens come back as float32 from accelerate's convert_to_fp32.
"""

from __future__ import annotations

from typing import Any

import torch

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def choose_precision(requested: str, device: str) -> str:
    """Return the precision for a device: fp16 becomes fp32 on a CPU.

    A CPU has no half convolution.
    """
    return "fp32" if device == "cpu" and requested == "fp16" else requested


def match_attention(inner: Any) -> None:
    """Cast attention mask and KV cache to CPU autocast's dtype.

    Only while autocast is on.
    """
    for layer in inner.model.layers:
        layer.self_attn.register_forward_pre_hook(_matched, with_kwargs=True)


def _matched(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not torch.is_autocast_cpu_enabled():
        return args, kwargs
    dtype = torch.get_autocast_cpu_dtype()
    mask, cache = kwargs.get("attention_mask"), kwargs.get("past_key_value")
    if mask is not None and mask.is_floating_point():
        lowest = torch.finfo(dtype).min  # float32's own would round to -inf, and a row of these is nan
        kwargs = {**kwargs, "attention_mask": mask.clamp(min=lowest).to(dtype)}
    if cache is not None and len(cache) > module.layer_idx:
        for kept in (cache.key_cache, cache.value_cache):
            kept[module.layer_idx] = kept[module.layer_idx].to(dtype)
    return args, kwargs
