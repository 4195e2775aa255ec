"""Actions for new pictures: `python -m vldock.image.heads act`, and from Python.

actor = open_actor(Path("outputs/heads/regression/policy.safetensors"))
action = actor.act([Path("top.png"), Path("wrist.png")], "go to the red disc", state=[0.1, -0.4])
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.image.features import towers
from vldock.image.heads.config import PROMPT, Cache, Config
from vldock.image.heads.episodes.rows import Picture
from vldock.image.heads.policy import Policy
from vldock.image.heads.sources import Compute, compute_function, open_model, pool
from vldock.image.startup import prepare as startup


@dataclass
class Actor:
    """Policy with the model of its features, which is loaded for the first picture."""

    policy: Policy
    compute: Compute
    dtype: torch.dtype
    prompted: bool

    def act(
        self, images: Sequence[Picture], instruction: str, *, state: Sequence[float] = (), seed: int = 0
    ) -> list[float]:
        """Return one action in the data set's units, for one picture of each camera in order.

        Raises InputRefused for another number of pictures or of state numbers, or a picture that cannot be read.
        """
        cameras = self.policy.options.cameras
        if len(images) != len(cameras) or not instruction.strip():
            raise InputRefused(
                f"{len(images)} pictures, instruction {instruction!r}",
                expected=f"one each of {', '.join(cameras)}, a text",
            )
        found = [self._features(image, instruction) for image in images]
        batch = self.policy.batch(torch.stack(found), instruction, state)
        with torch.inference_mode():
            answer = self.policy.act(batch, torch.Generator().manual_seed(seed))
        return [float(number) for number in answer[0]]

    def _features(self, image: Picture, instruction: str) -> torch.Tensor:
        try:
            found = self.compute(image.read_bytes(), instruction if self.prompted else None)
        except (OSError, ValueError) as error:
            raise InputRefused(f"{image}: {error}", expected="an image") from error
        found = found.to(self.dtype).cpu().float()  # as it was stored
        return pool(found) if self.prompted else found


def open_actor(path: Path, *, device: str | None = None) -> Actor:
    """Return a saved policy with its model.

    Raises InputRefused where the model here gives other features than the policy was trained on.
    """
    policy = Policy.load(path)
    facts = policy.facts
    if facts["space"] is None:
        raise InputRefused(
            f"{path} was trained from .pt files",
            expected="features: Policy.load(...).act(policy.batch(features, text))",
        )
    cache = Cache(**facts["cache"])
    model, processor = open_model(Config(cache=cache), device=device)
    space = asdict(towers.space_of(model, processor, facts["space"]["dtype"]))
    other = [name for name, value in space.items() if value != facts["space"][name] and name != "computed"]
    if other:
        raise InputRefused(f"{cache.model}: {', '.join(other)} differ from the training's", expected="the same model")
    dtype = getattr(torch, facts["space"]["dtype"])
    return Actor(policy, compute_function(model, processor), dtype, cache.features == PROMPT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--policy", type=Path, required=True, metavar="FILE", help="policy.safetensors")
    parser.add_argument("--image", type=Path, action="append", required=True, help="one for each camera, in order")
    parser.add_argument("--instruction", required=True, metavar="TEXT")
    parser.add_argument("--state", default="", metavar="NUMBERS", help="proprioception, with commas: 0.1,-0.4")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of flow matching's draw")


def main(args: argparse.Namespace) -> int:
    """Print one action as JSON."""
    startup.prepare()
    try:
        state = [float(number) for number in args.state.split(",") if number.strip()]
    except ValueError as error:
        raise UsageError(f"--state {args.state}: {error}", expected="numbers with commas: 0.1,-0.4") from error
    action = open_actor(args.policy).act(args.image, args.instruction, state=state, seed=args.seed)
    print(json.dumps({"action": action}))
    return 0
