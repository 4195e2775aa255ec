"""Objectives of a policy: the mean action, or the distribution of actions.

Regression: mean squared error, so its answer is the conditional mean.
Conditional flow matching (Lipman et al., arXiv:2210.02747; straight paths as in Liu et al., arXiv:2209.03003): a point
goes from noise x0 to the action x1 along x_t = (1 - t) x0 + t x1, the network learns its velocity x1 - x0 given x_t, t
and the context, and an action is drawn by following the learned velocity from fresh noise.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import nn

from vldock.common.errors import UsageError

WAVES = 8
DRAWS = 16  # times and noises for each row of a step: the trunk, which costs more, runs once
SOLVERS = ("euler", "heun")


class Objective(Protocol):
    """Objective: a loss to lower, and actions to answer with."""

    def loss(self, context: torch.Tensor, action: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return the mean loss of actions (B, numbers) given contexts (B, width)."""

    def act(self, context: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return an action (B, numbers) for each context."""


class Regression(nn.Module):  # type: ignore[misc]
    """Regression: the mean of the actions shown."""

    def __init__(self, *, width: int, actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.net = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, actions))

    def loss(self, context: torch.Tensor, action: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return the mean squared error."""
        return nn.functional.mse_loss(self.net(context), action)

    def act(self, context: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return the mean action; nothing is drawn."""
        said: torch.Tensor = self.net(context)
        return said


class FlowMatching(nn.Module):  # type: ignore[misc]
    """Velocity field over actions, and its solver."""

    def __init__(self, *, width: int, actions: int, solver: str, steps: int) -> None:
        super().__init__()
        if solver not in SOLVERS or steps < 1:
            raise UsageError(
                f"solver {solver!r} with {steps} steps", expected=f"{' or '.join(SOLVERS)}, 1 step or more"
            )
        self.actions, self.solver, self.steps = actions, solver, steps
        hidden = 2 * width
        self.net = nn.Sequential(
            nn.Linear(width + actions + 2 * WAVES, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, actions),
        )  # fmt: skip
        self.register_buffer("waves", math.pi * torch.arange(1, WAVES + 1) / 2, persistent=False)

    def velocity(self, x: torch.Tensor, t: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return the velocity d x / d t, (B, actions).

        At points `x` (B, actions) and times `t` (B, 1) within 0..1.
        """
        turns = t * self.waves
        said: torch.Tensor = self.net(torch.cat([x, turns.sin(), turns.cos(), context], dim=1))
        return said

    def loss(self, context: torch.Tensor, action: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return the mean squared error of the velocity.

        It is taken at DRAWS times and noises for each row.
        """
        context, action = context.repeat_interleave(DRAWS, dim=0), action.repeat_interleave(DRAWS, dim=0)
        noise = torch.randn(action.shape, generator=chance).to(action)
        t = torch.rand((len(action), 1), generator=chance).to(action)
        seen = self.velocity((1 - t) * noise + t * action, t, context)
        return nn.functional.mse_loss(seen, action - noise)

    def act(self, context: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return one drawn action for each context.

        Integrates by Euler's or Heun's steps from noise at t = 0 to t = 1.
        """
        x = torch.randn((len(context), self.actions), generator=chance).to(context)
        width = 1 / self.steps
        for step in range(self.steps):
            t = torch.full((len(context), 1), step * width).to(context)
            first = self.velocity(x, t, context)
            if self.solver == "euler":
                x = x + width * first
            else:
                x = x + width / 2 * (first + self.velocity(x + width * first, t + width, context))
        return x
