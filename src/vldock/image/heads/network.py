"""Trunk of both policies: attention of instruction and state over the cameras' features."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from vldock.image.heads.text import PADDING

HEADS = 4
POOL = 2  # patches to a side of a pooled place
DROP = 0.3  # of what was seen and said, in training: a few hundred scenes are learned by heart without


@dataclass(frozen=True)
class Batch:
    """Batch of rows.

    Features (B, cameras, tokens, width) as stored, pieces of the instruction (B, pieces) int64, state (B, numbers) and
    actions (B, numbers) float32.
    """

    features: torch.Tensor
    pieces: torch.Tensor
    state: torch.Tensor
    actions: torch.Tensor


class Trunk(nn.Module):  # type: ignore[misc]
    """Network from features, instruction and state to a context vector of `width`.

    Instruction and state make the queries; each head returns, for each camera, a mix of its tokens and their mean
    place. `pieces` is the size of the vocabulary, 0 where the features have read the instruction.
    """

    def __init__(self, *, features: int, tokens: int, cameras: int, pieces: int, state: int, width: int) -> None:
        super().__init__()
        side = math.isqrt(tokens)
        self.square = side if side * side == tokens else 0
        self.side = self.square // POOL if self.square % POOL == 0 else self.square
        self.words = nn.Embedding(pieces, width, padding_idx=PADDING) if pieces else None
        self.state = nn.Sequential(nn.Linear(state, width), nn.GELU(), nn.Linear(width, width)) if state else None
        self.cameras = nn.Parameter(torch.zeros(cameras, 1, width))
        self.patches = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width))
        self.drop = nn.Dropout(DROP)
        self.ask = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, HEADS * width))
        self.tell = nn.Linear(width, width)
        joined = cameras * HEADS * (width + 2) + 2 * width
        self.join = nn.Sequential(nn.Linear(joined, width), nn.GELU(), nn.Linear(width, width))
        self.register_buffer("places", _places(self.side, tokens), persistent=False)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the context (B, width) of a batch, whose features may have any float dtype."""
        asked, state = self._instruction(batch), self._state(batch)
        patches = nn.functional.gelu(self.patches(self._pooled(batch.features.float())) + self.cameras)
        query = self.ask(asked + state).unflatten(1, (1, HEADS, -1))
        weight = torch.softmax(query @ patches.transpose(2, 3) / math.sqrt(patches.shape[-1]), dim=-1)
        seen = weight @ self.tell(patches)
        where = weight @ self.places
        joined: torch.Tensor = self.join(
            torch.cat([self.drop(seen.flatten(1)), where.flatten(1), self.drop(asked), state], dim=1)
        )
        return joined

    def _instruction(self, batch: Batch) -> torch.Tensor:
        if self.words is None:
            return self.cameras.new_zeros(len(batch.features), self.cameras.shape[-1])
        count = (batch.pieces != PADDING).sum(dim=1, keepdim=True).clamp(min=1)
        total: torch.Tensor = self.words(batch.pieces).sum(dim=1) / count.sqrt()
        return total

    def _state(self, batch: Batch) -> torch.Tensor:
        if self.state is None:
            return self.cameras.new_zeros(len(batch.features), self.cameras.shape[-1])
        read: torch.Tensor = self.state(batch.state)
        return read

    def _pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Return features averaged over squares of patches, (B, cameras, places, features)."""
        if not self.square or self.square == self.side:
            return features
        rows, cameras = features.shape[:2]
        square = features.flatten(0, 1).transpose(1, 2).unflatten(2, (self.square, self.square))
        pooled = nn.functional.avg_pool2d(square, self.square // self.side).flatten(2).transpose(1, 2)
        return pooled.unflatten(0, (rows, cameras))


def _places(side: int, tokens: int) -> torch.Tensor:
    """Return (places, 2): x, y within -1..1 of a square of patches, else x in their order."""
    axis = (torch.arange(side or tokens) + 0.5) / (side or tokens) * 2 - 1
    if not side:
        return torch.stack([axis, torch.zeros_like(axis)], dim=1)
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
