"""Policy: trunk and objective, saved as one safetensors file with its options.

policy = Policy.load(path)
action = policy.act(policy.batch(features, "go to the red disc", state))    # see act.py for pictures
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vldock.common.errors import InputRefused, UsageError
from vldock.common.filesystem.atomic import write_bytes
from vldock.image.heads.network import Batch, Trunk
from vldock.image.heads.objectives import FlowMatching, Regression
from vldock.image.heads.text import Vocabulary, pad

OBJECTIVES = ("regression", "flow-matching")


@dataclass(frozen=True)
class Options:
    """Shape of a policy; `reads_text` is false where the features have read the instruction."""

    objective: str
    features: int
    tokens: int
    cameras: tuple[str, ...]
    actions: int
    state: int = 0
    reads_text: bool = True
    width: int = 96
    solver: str = "heun"
    steps: int = 10


class Policy(nn.Module):  # type: ignore[misc]
    """Policy from features, instruction and state to an action.

    Actions and states are scaled by mean and standard deviation of the training rows, which are saved with it.
    """

    def __init__(self, options: Options, vocabulary: Sequence[str] = ()) -> None:
        super().__init__()
        if options.objective not in OBJECTIVES:
            raise UsageError(f"objective {options.objective!r} is not known", expected=" or ".join(OBJECTIVES))
        self.options, self.vocabulary = options, Vocabulary(vocabulary)
        self.facts: dict[str, Any] = {}
        self.trunk = Trunk(
            features=options.features, tokens=options.tokens, cameras=len(options.cameras), state=options.state,
            pieces=len(self.vocabulary) if options.reads_text else 0, width=options.width,
        )  # fmt: skip
        self.objective: Regression | FlowMatching
        if options.objective == "regression":
            self.objective = Regression(width=options.width, actions=options.actions)
        else:
            self.objective = FlowMatching(
                width=options.width, actions=options.actions, solver=options.solver, steps=options.steps
            )
        for name, size in (("action", options.actions), ("state", options.state)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))

    def scale_to(self, actions: torch.Tensor, states: torch.Tensor) -> None:
        """Take mean and standard deviation of the training rows; a constant number keeps its unit."""
        for name, values in (("action", actions), ("state", states)):
            std = values.std(dim=0, unbiased=False)
            self.get_buffer(f"{name}_mean").copy_(values.mean(dim=0))
            self.get_buffer(f"{name}_std").copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))

    def loss(self, batch: Batch, chance: torch.Generator) -> torch.Tensor:
        """Return the objective's loss of a batch, in scaled actions."""
        scaled = (batch.actions - self.action_mean) / self.action_std
        return self.objective.loss(self._context(batch), scaled, chance)

    def act(self, batch: Batch, chance: torch.Generator | None = None) -> torch.Tensor:
        """Return actions (B, numbers) in the data set's units; the batch's own are not read."""
        chance = chance or torch.Generator().manual_seed(0)
        answer: torch.Tensor = self.objective.act(self._context(batch), chance) * self.action_std + self.action_mean
        return answer

    def batch(self, features: torch.Tensor, instruction: str, state: Sequence[float] = ()) -> Batch:
        """Return one row as a batch; features have shape (cameras, tokens, width).

        Raises InputRefused where features or state have another shape than the policy's.
        """
        wanted = (len(self.options.cameras), self.options.tokens, self.options.features)
        if tuple(features.shape) != wanted or len(state) != self.options.state:
            raise InputRefused(
                f"features of shape {tuple(features.shape)} and {len(state)} state numbers",
                expected=f"{wanted} (cameras {', '.join(self.options.cameras)}) and {self.options.state}",
            )
        pieces = pad([self.vocabulary.numbers(instruction)])
        return Batch(features[None], pieces, torch.tensor([list(state)]), torch.zeros(1, self.options.actions))

    def save(self, path: Path, **facts: Any) -> None:
        """Write weights, options and vocabulary; `facts` go into the header with them."""
        from safetensors.torch import save

        meta = {"policy": json.dumps(asdict(self.options)), "vocabulary": json.dumps(self.vocabulary.pieces)}
        tensors = {name: value.contiguous() for name, value in self.state_dict().items()}
        write_bytes(path, save(tensors, metadata=meta | {"facts": json.dumps(facts)}))

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Return a saved policy, with its facts. Raises InputRefused for another file."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as saved:
                meta = saved.metadata() or {}
                weights = {name: saved.get_tensor(name) for name in saved.keys()}  # noqa: SIM118 - no mapping
            options = json.loads(meta["policy"])
            policy = cls(Options(**options | {"cameras": tuple(options["cameras"])}), json.loads(meta["vocabulary"]))
            policy.load_state_dict(weights)
        except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
            raise InputRefused(
                f"{path} is no policy of this version: {error}",
                expected="policy.safetensors of `train head`",
                hint="train it again: python -m vldock.image train head --objective ...",
            ) from error
        policy.facts = json.loads(meta["facts"])
        policy.eval()
        return policy

    def _context(self, batch: Batch) -> torch.Tensor:
        state = (batch.state - self.state_mean) / self.state_std
        context: torch.Tensor = self.trunk(Batch(batch.features, batch.pieces, state, batch.actions))
        return context
