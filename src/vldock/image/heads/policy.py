"""Policy: trunk and objective, saved as one safetensors file with its options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vldock.common.errors import InputRefused, UsageError
from vldock.common.filesystem.atomic import write_bytes
from vldock.image.heads.network import Trunk
from vldock.image.heads.objectives import FlowMatching, Regression
from vldock.image.heads.scenes import VOCABULARY

OBJECTIVES = ("regression", "flow-matching")
ACTIONS = 3


class Policy(nn.Module):  # type: ignore[misc]
    """Policy from image features and instruction to an action."""

    def __init__(
        self, *, objective: str, features: int, tokens: int, width: int, solver: str = "heun", steps: int = 10
    ) -> None:
        super().__init__()
        if objective not in OBJECTIVES:
            raise UsageError(f"objective {objective!r} is not known", expected=" or ".join(OBJECTIVES))
        self.options = {"objective": objective, "features": features, "tokens": tokens, "width": width}
        self.options |= {"solver": solver, "steps": steps}
        self.trunk = Trunk(features=features, tokens=tokens, words=len(VOCABULARY), width=width)
        self.objective: Regression | FlowMatching
        if objective == "regression":
            self.objective = Regression(width=width, actions=ACTIONS)
        else:
            self.objective = FlowMatching(width=width, actions=ACTIONS, solver=solver, steps=steps)

    def loss(
        self, features: torch.Tensor, words: torch.Tensor, action: torch.Tensor, chance: torch.Generator
    ) -> torch.Tensor:
        """Return the objective's loss of a batch."""
        return self.objective.loss(self.trunk(features, words), action, chance)

    def act(self, features: torch.Tensor, words: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
        """Return actions (B, 3)."""
        return self.objective.act(self.trunk(features, words), chance)

    def save(self, path: Path, **facts: Any) -> None:
        """Write weights, options and vocabulary; `facts` go into the header with them."""
        from safetensors.torch import save

        meta = {"policy": json.dumps(self.options), "vocabulary": json.dumps(VOCABULARY), "facts": json.dumps(facts)}
        tensors = {name: value.contiguous() for name, value in self.state_dict().items()}
        write_bytes(path, save(tensors, metadata=meta))

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Return a saved policy. Raises InputRefused for another vocabulary."""
        from safetensors import safe_open

        with safe_open(path, framework="pt") as saved:
            meta = saved.metadata()
            weights = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118 - no mapping
        if json.loads(meta["vocabulary"]) != list(VOCABULARY):
            raise InputRefused(f"{path} knows other words", expected=", ".join(VOCABULARY))
        policy = cls(**json.loads(meta["policy"]))
        policy.load_state_dict(weights)
        return policy
