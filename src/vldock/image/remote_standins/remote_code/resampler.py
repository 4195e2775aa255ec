"""Resampler of the stand-in: a fixed number of tokens for a picture of any size."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .memory_layers import PatchCodes

SCALE = 2.0


class Resampler(nn.Module):  # type: ignore[misc]
    """Average a picture's cells into a square of `num_queries` tokens, and encode each token's cells."""

    def __init__(self, num_queries: int, embed_dim: int, kv_dim: int, output_size: int) -> None:
        super().__init__()
        self.side = round(num_queries**0.5)
        if self.side**2 != num_queries:
            raise ValueError(f"{num_queries} tokens a picture; expected a square number")
        self.cells = round((kv_dim / 3) ** 0.5)
        self.codes = PatchCodes(kv_dim, embed_dim, output_size, scale=SCALE)

    def forward(self, x: torch.Tensor, tgt_sizes: torch.Tensor) -> torch.Tensor:
        """Return (pictures, num_queries, embed_dim) of `x` (pictures, patches, kv_dim).

        `tgt_sizes` (pictures, 2) are the rows and columns of patches of each picture.
        """
        cells = [self._pool(one, *size) for one, size in zip(x, tgt_sizes.tolist(), strict=True)]
        return torch.as_tensor(self.codes(torch.stack(cells)))

    def _pool(self, patches: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """Return (num_queries, kv_dim) of one picture's patches (patches, kv_dim)."""
        cells, side = self.cells, self.side
        grid = patches[: rows * columns].reshape(rows, columns, 3, cells, cells)
        picture = grid.permute(2, 0, 3, 1, 4).reshape(3, rows * cells, columns * cells)
        pooled = functional.adaptive_avg_pool2d(picture.unsqueeze(0), side * cells)[0]
        tokens = pooled.reshape(3, side, cells, side, cells).permute(1, 3, 0, 2, 4)
        return tokens.reshape(side * side, 3 * cells * cells)
