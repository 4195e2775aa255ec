"""Order of samples over a whole run, drawn once from the seed.

A resumed run continues in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch


class RunSampler(torch.utils.data.Sampler):  # type: ignore[misc]
    """Sampler of `length` positions: consecutive permutations of `count`.

    Each depends on (seed, epoch) alone.

    HF's Trainer counts updates per epoch rounded down and drops the remaining rows of one; here the
    run is one epoch to it.
    """

    def __init__(self, count: int, length: int, seed: int) -> None:
        self.count, self.length, self.seed = count, length, seed

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        for epoch in range(math.ceil(self.length / self.count)):
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            order = torch.randperm(self.count, generator=generator).tolist()
            yield from order[: self.length - epoch * self.count]


def count_steps(count: int, *, epochs: float, batch: int, max_steps: int) -> int:
    """Return the number of updates: max_steps, or those of `epochs`, rounded up."""
    return max_steps or max(1, math.ceil(count * epochs / batch - 1e-9))
