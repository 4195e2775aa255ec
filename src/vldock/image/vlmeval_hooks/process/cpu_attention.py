"""xformers' attention on a CPU, for remote code that calls it (CogVLM's vision part)."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional


def install() -> None:
    """Compute xformers.ops.memory_efficient_attention by SDPA on a CPU, where xformers has no operator.

    On a GPU, and with an attention bias that is no tensor, xformers' own runs. Calling this again changes nothing.
    """
    import xformers.ops

    stock = xformers.ops.memory_efficient_attention
    if hasattr(stock, "__wrapped__"):
        return

    @functools.wraps(stock)
    def attend(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_bias: Any = None,
        p: float = 0.0,
        scale: float | None = None,
        **options: Any,
    ) -> Any:
        """Return (batch, length, heads, width), as the stock function does."""
        plain = attn_bias is None or isinstance(attn_bias, torch.Tensor)
        if query.device.type != "cpu" or not plain:
            return stock(query, key, value, attn_bias, p, scale, **options)
        inputs = (states.transpose(1, 2) for states in (query, key, value))
        attended = functional.scaled_dot_product_attention(*inputs, attn_mask=attn_bias, dropout_p=p, scale=scale)
        return attended.transpose(1, 2)

    xformers.ops.memory_efficient_attention = attend
