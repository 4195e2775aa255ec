"""Trunk of both policies: attention of an instruction over image patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from vldock.common.errors import InputRefused

HEADS = 4
POOL = 2  # patches to a side of a pooled place


class Trunk(nn.Module):  # type: ignore[misc]
    """Network from features and instruction to a context vector of `width`.

    The sum of the word embeddings makes the queries; each head returns a mix of patches and its mean place.
    """

    def __init__(self, *, features: int, tokens: int, words: int, width: int) -> None:
        super().__init__()
        side = math.isqrt(tokens)
        if side * side != tokens:
            raise InputRefused(f"{tokens} tokens are no square of patches", expected="patch features, as 576 = 24 x 24")
        self.side = side // POOL if side % POOL == 0 else side
        self.words = nn.Embedding(words, width)
        self.patches = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width), nn.GELU())
        self.ask = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, HEADS * width))
        self.tell = nn.Linear(width, width)
        self.join = nn.Sequential(nn.Linear(HEADS * (width + 2) + width, width), nn.GELU(), nn.Linear(width, width))
        axis = (torch.arange(self.side) + 0.5) / self.side * 2 - 1
        grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
        self.register_buffer("places", grid, persistent=False)  # (places, 2): x, y within -1..1

    def forward(self, features: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return the context (B, width) of features and word numbers.

        `features` have shape (B, tokens, features) and any float dtype; `words` have shape (B, words).
        """
        asked = self.words(words).sum(dim=1)
        patches = self.patches(self._pooled(features.float()))
        query = self.ask(asked).unflatten(1, (HEADS, -1))
        weight = torch.softmax(query @ patches.transpose(1, 2) / math.sqrt(patches.shape[-1]), dim=-1)
        seen = weight @ self.tell(patches)
        where = weight @ self.places
        joined: torch.Tensor = self.join(torch.cat([seen.flatten(1), where.flatten(1), asked], dim=1))
        return joined

    def _pooled(self, features: torch.Tensor) -> torch.Tensor:
        """Return features averaged over squares of patches, (B, places, features)."""
        side = math.isqrt(features.shape[1])
        square = features.transpose(1, 2).unflatten(2, (side, side))
        return nn.functional.avg_pool2d(square, side // self.side).flatten(2).transpose(1, 2)


def word_numbers(instruction: str, vocabulary: Sequence[str]) -> list[int]:
    """Return the words' indices in the vocabulary.

    Raises InputRefused for an unknown word.
    """
    words = instruction.split()
    unknown = [word for word in words if word not in vocabulary]
    if unknown:
        raise InputRefused(f"the instruction {instruction!r} has {unknown[0]!r}", expected=", ".join(vocabulary))
    return [vocabulary.index(word) for word in words]
