"""Vision part of the CogVLM stand-in: an image becomes a grid of cells between two marks."""

from __future__ import annotations

import math
from typing import Any

import torch
import xformers.ops as xops
from torch import Tensor, nn
from torch.nn import functional

from .memory_layers import PatchCodes, apply_linear


class Attention(nn.Module):  # type: ignore[misc]
    """Self-attention among the cells of an image, by xformers as in the published code."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)
        for layer in (self.query_key_value, self.dense):
            nn.init.normal_(layer.weight, 0.0, width**-0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, cells: Tensor) -> Tensor:
        """Return (images, cells, width)."""
        joint = apply_linear(cells, self.query_key_value).unflatten(-1, (3, self.heads, -1))
        query, key, value = joint.unbind(2)
        attended = xops.memory_efficient_attention(query, key, value, scale=query.shape[-1] ** -0.5)
        return apply_linear(attended.flatten(2), self.dense)


class EVA2CLIPModel(nn.Module):  # type: ignore[misc]
    """(images, 3, side, side), normalised, to (images, 1 + cells + 1, hidden_size): mark, cells, mark.

    A cell is the means of its patches' pixels.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        vision = config.vision_config
        content = config.hidden_size - config.output_size
        self.patch_size = vision["patch_size"]
        self.cell = vision["image_size"] // self.patch_size // vision["grid_size"]  # patches a side
        channels = vision["in_channels"] * self.cell**2
        self.linear_proj = PatchCodes(channels, config.hidden_size, config.output_size, scale=2.0)
        self.attention = Attention(content, vision["num_heads"])
        self.boi, self.eoi = (nn.Parameter(torch.randn(1, 1, content)) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens of each image in float32."""
        patches = functional.avg_pool2d(images.float(), self.patch_size)
        codes = self.linear_proj(functional.pixel_unshuffle(patches, self.cell).flatten(2).transpose(1, 2))
        content = self.boi.shape[-1]
        cells = codes[..., :content] + self.attention(codes[..., :content]) / math.sqrt(2)
        first, last = (mark.float().expand(len(images), -1, -1) for mark in (self.boi, self.eoi))
        return functional.pad(torch.cat((first, cells, last), 1), (0, codes.shape[-1] - content))
