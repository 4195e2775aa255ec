"""Layers of the MemoryDecoder and of the stand-ins' image encoders.

All arithmetic is in float32, whatever dtype the weights are stored in. This file is copied into snapshots.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def normalize(values: Tensor) -> Tensor:
    """Divide by the root mean square of the last axis."""
    return values * torch.rsqrt(values.square().mean(-1, keepdim=True) + 1e-6)


def apply_linear(values: Tensor, layer: nn.Linear) -> Tensor:
    """Return layer(values), computed in float32."""
    bias = None if layer.bias is None else layer.bias.float()
    return functional.linear(values, layer.weight.float(), bias)


class PatchCodes(nn.Module):  # type: ignore[misc]
    """Random Fourier features of image patches: (..., channels) to (..., hidden_size).

    The last `output_size` channels are zero.
    """

    def __init__(self, channels: int, hidden_size: int = 128, output_size: int = 32, scale: float = 1.0) -> None:
        super().__init__()
        self.codes = nn.Linear(channels, hidden_size - output_size)
        self.output_size = output_size
        nn.init.normal_(self.codes.weight, 0.0, scale / math.sqrt(channels))
        nn.init.uniform_(self.codes.bias, 0.0, 2 * math.pi)

    def forward(self, patches: Tensor) -> Tensor:
        """Return the codes in float32."""
        return functional.pad(
            math.sqrt(2) * torch.cos(apply_linear(patches.float(), self.codes)), (0, self.output_size)
        )


class Positions(nn.Module):  # type: ignore[misc]
    """Code of a position: cosines of random frequencies and phases."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.rand(channels) * math.pi)
        self.phase = nn.Parameter(torch.rand(channels) * 2 * math.pi)

    def forward(self, positions: Tensor) -> Tensor:
        """Return codes (..., channels) of positions (...)."""
        angle = positions[..., None].float() * self.frequency.float() + self.phase.float()
        return math.sqrt(2) * torch.cos(angle)


class Attention(nn.Module):  # type: ignore[misc]
    """Causal self-attention with a cache."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)

    def gather(self, states: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Any]:
        """Return the attended values (batch, length, width), and the cache."""
        query, key, value = (
            apply_linear(states, layer).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        if past is not None:
            key, value = torch.cat((past[0], key), 2), torch.cat((past[1], value), 2)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return attended.transpose(1, 2).flatten(2), (key, value)


class Memory(nn.Module):  # type: ignore[misc]
    """Remembered states: `keys` (units, width), the `threshold` of each, what each writes.

    A threshold is the sum of three parts, so that it is exact in bfloat16, too.
    """

    def __init__(self, units: int, width: int, output_size: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.zeros(units, width))
        self.threshold = nn.Parameter(torch.zeros(3, units))
        self.values = nn.Parameter(torch.zeros(units, output_size))

    def forward(self, states: Tensor) -> Tensor:
        """Return what the units that fire write, (..., output_size)."""
        above = functional.linear(states, self.keys.float()) - self.threshold.float().sum(0)
        return above.relu() @ self.values.float()
