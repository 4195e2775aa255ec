"""Measures of a policy on held-out rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from vldock.image.heads.data import Batch
from vldock.image.heads.policy import Policy
from vldock.image.heads.scenes import SIDE, VOCABULARY

SAFE = SIDE / 2  # nearer to the middle than this is through the shape
PASS = VOCABULARY.index("pass")


@dataclass(frozen=True)
class Measures:
    """Measures on held-out rows.

    Mean distance to the target (the picture is 2 wide), mean absolute side where it should be 0, share of passes that
    go through the shape, share of passes on the left.
    """

    rows: int
    position_error: float
    reach_side_error: float
    crash_rate: float
    left_share: float


def measure(policy: Policy, batches: Iterable[Batch], *, seed: int) -> Measures:
    """Return the measures of `policy`, with one action per row.

    `seed` fixes the draws.
    """
    chance = torch.Generator().manual_seed(seed)
    policy.eval()
    said, shown, passing = [], [], []
    with torch.inference_mode():
        for batch in batches:
            said.append(policy.act(batch.features, batch.words, chance))
            shown.append(batch.actions)
            passing.append((batch.words == PASS).any(dim=1))
    answer, truth, passes = torch.cat(said), torch.cat(shown), torch.cat(passing)
    side = answer[passes, 2]
    return Measures(
        rows=len(truth),
        position_error=(answer[:, :2] - truth[:, :2]).norm(dim=1).mean().item(),
        reach_side_error=answer[~passes, 2].abs().mean().item(),
        crash_rate=(side.abs() < SAFE).float().mean().item(),
        left_share=(side < 0).float().mean().item(),
    )
