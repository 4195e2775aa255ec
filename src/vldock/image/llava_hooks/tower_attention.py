"""Attention of the CLIP vision tower: transformers' own, or PyTorch's SDPA.

Called by the line that patches/patch_llava_vision_tower.py puts into LLaVA's CLIPVisionTower. transformers 4.37.2
writes CLIP's attention out (modeling_clip.py, CLIPAttention.forward); VLDOCK_TOWER_ATTENTION=sdpa computes the same sum
by scaled_dot_product_attention. It rounds otherwise in the last bits (benchmarks/tower/RESULTS.md), so that it is off
by default, and named in a run's identity, its passport and the keys of cached features.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import torch

from vldock.common.inference_options import EAGER, SDPA, read_tower_attention


def apply(tower: Any, environ: Mapping[str, str] = os.environ) -> None:
    """Set the forward of each attention of a loaded CLIPVisionModel to what VLDOCK_TOWER_ATTENTION asks for."""
    if read_tower_attention(environ) == EAGER:
        return
    from transformers.models.clip.modeling_clip import CLIPAttention

    for module in tower.modules():
        if isinstance(module, CLIPAttention):
            module.forward = functools.partial(_forward, module, module.forward)
    tower.config._attn_implementation = SDPA


def _forward(module: Any, eager: Any, hidden_states: torch.Tensor, *masks: Any, **options: Any) -> Any:
    """Return (output [batch, positions, width], None), as CLIPAttention.forward does.

    A mask, dropout, and weights that are to be returned are left to the `eager` forward; LLaVA asks for none of them.
    """
    asked = (*masks, *options.values())
    if (module.dropout and module.training) or any(one is not None and one is not False for one in asked):
        return eager(hidden_states, *masks, **options)
    batch, positions, width = hidden_states.shape
    shape = (batch, positions, module.num_heads, module.head_dim)
    query, key, value = (
        project(hidden_states).view(shape).transpose(1, 2) for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    summed = torch.nn.functional.scaled_dot_product_attention(query, key, value, scale=module.scale)
    return module.out_proj(summed.transpose(1, 2).reshape(batch, positions, width)), None
