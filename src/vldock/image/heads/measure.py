"""Measures of a policy on held-out rows, beside policies that see less."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from vldock.image.heads.network import Batch
from vldock.image.heads.policy import Policy
from vldock.image.heads.scenes import SIDE

SAFE = SIDE / 2  # nearer to the middle than this is through the shape


@dataclass(frozen=True)
class SceneMeasures:
    """Measures on the drawn scenes.

    Mean distance to the target the move leads to (the picture is 2 wide), mean absolute side where it should be 0,
    share of passes that go through the shape, share of passes on the left.
    """

    position_error: float
    reach_side_error: float
    crash_rate: float
    left_share: float


@dataclass(frozen=True)
class Measures:
    """Errors on held-out rows, each the mean of |answer - shown| in standard deviations of the training rows.

    `constant` is the training rows' mean action, `blind` the same head trained without the picture,
    `without_instruction` without the text; None: not trained. `by_number` is in the data set's units.
    """

    rows: int
    error: float
    constant: float
    by_number: tuple[float, ...]
    blind: float | None = None
    without_instruction: float | None = None
    scenes: SceneMeasures | None = None


@dataclass(frozen=True)
class Answers:
    """Answers of a policy to rows, and the actions shown, both (rows, numbers)."""

    answers: torch.Tensor
    shown: torch.Tensor

    def error(self, std: torch.Tensor) -> float:
        """Return the mean absolute error in standard deviations."""
        return float(((self.answers - self.shown).abs() / std).mean())


def answer(policy: Policy, batches: Iterable[Batch], *, seed: int) -> Answers:
    """Return one action for each row; `seed` fixes the draws."""
    chance = torch.Generator().manual_seed(seed)
    policy.eval()
    with torch.inference_mode():
        found = [(policy.act(batch, chance), batch.actions) for batch in batches]
    return Answers(torch.cat([said for said, _ in found]), torch.cat([shown for _, shown in found]))


def measure(
    policy: Policy, answers: Answers, *, blind: Answers | None, without_instruction: Answers | None, drawn: bool
) -> Measures:
    """Return the measures of a policy's answers, and of those it is compared with."""
    std = policy.action_std
    constant = Answers(policy.action_mean.expand_as(answers.shown), answers.shown)
    return Measures(
        rows=len(answers.shown),
        error=answers.error(std),
        constant=constant.error(std),
        by_number=tuple((answers.answers - answers.shown).abs().mean(dim=0).tolist()),
        blind=blind.error(std) if blind else None,
        without_instruction=without_instruction.error(std) if without_instruction else None,
        scenes=_measure_scenes(answers) if drawn else None,
    )


def _measure_scenes(found: Answers) -> SceneMeasures:
    passes = found.shown[:, 2] != 0
    side = found.answers[passes, 2]
    return SceneMeasures(
        position_error=2 * (found.answers - found.shown)[:, :2].norm(dim=1).mean().item(),  # a move is half the way
        reach_side_error=found.answers[~passes, 2].abs().mean().item(),
        crash_rate=(side.abs() < SAFE).float().mean().item(),
        left_share=(side < 0).float().mean().item(),
    )


def render_table(objective: str, found: Measures) -> str:
    """Return the errors as one table."""
    lines = [f"held-out error of {found.rows} rows, in standard deviations of the training rows"]
    listed: list[tuple[str, float | None, str]] = [(objective, found.error, "")]
    listed += [("  without the picture", found.blind, "the same head, blind")]
    listed += [("  without the instruction", found.without_instruction, "the same head, no text")]
    listed += [("  constant", found.constant, "the mean action of the training rows")]
    lines += [f"{name:26}{error:7.3f}  {what}".rstrip() for name, error, what in listed if error is not None]
    return "\n".join(lines)


def warn(objective: str, found: Measures) -> list[str]:
    """Return one line where the head does not beat a policy that sees less."""
    less = {"the constant policy": found.constant, "the same head without the picture": found.blind}
    less["the same head without the instruction"] = found.without_instruction
    lost = [f"{name} ({error:.3f})" for name, error in less.items() if error is not None and found.error >= error]
    if not lost:
        return []
    return [f"warning: {objective} ({found.error:.3f}) is no better than {' and '.join(lost)} on held-out rows"]
