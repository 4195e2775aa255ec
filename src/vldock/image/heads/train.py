"""Training of a policy by either objective, from cached features."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from vldock.common.errors import UsageError
from vldock.common.filesystem.atomic import write_json
from vldock.image.heads import config as settings
from vldock.image.heads.config import Config
from vldock.image.heads.data import Data, Demonstrations, collate, is_prompted, open_data
from vldock.image.heads.measure import Answers, Measures, answer, measure
from vldock.image.heads.network import Batch
from vldock.image.heads.policy import Options, Policy
from vldock.image.heads.sources import Source, blind, open_source
from vldock.image.heads.text import Vocabulary, build_vocabulary

OnEpoch = Callable[[dict[str, Any]], None]
POLICY, MEASURES = "policy.safetensors", "measures.json"


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of a training.

    Held-out measures, seconds per epoch, losses, cache hits and misses.
    """

    objective: str
    data: str
    measures: Measures
    epochs: tuple[float, ...]
    losses: tuple[float, ...]
    hits: int
    misses: int


def train(
    config: Config, objective: str, *, cached: bool = True, on_epoch: OnEpoch = lambda progress: None
) -> TrainingResult:
    """Train a policy and write it, its configuration and measures below `config.out`.

    From the cache no model is loaded, and rows that are not there are refused. `cached=False` computes every feature
    every time, by the same code: the difference in time is the cache's.
    """
    folder = Path(config.out) / objective
    _require_own(folder)
    data = open_data(config)
    vocabulary = Vocabulary(build_vocabulary({data.row(pair).instruction for pair in data.train}))
    with open_source(config, cached=cached) as source:
        if cached:
            source.require(data.every_image(prompted=is_prompted(config)))
        policy, seconds, losses = _fit(config, objective, data, source, vocabulary, on_epoch=on_epoch)
        own = _answer(policy, config, data, source, vocabulary)
        less = _compare(config, objective, data, source, policy, vocabulary) if config.training.compare else {}
        found = measure(policy, own, blind=less.get("blind"), without_instruction=less.get("mute"), drawn=data.drawn)
        trained = TrainingResult(
            objective, data.summary(), found, tuple(seconds), tuple(losses), source.hits, source.misses
        )
        folder.mkdir(parents=True, exist_ok=True)
        policy.save(folder / POLICY, objective=objective, sets=[one.name for one in data.sets], **source.facts)
    settings.write(config, folder / "config.yaml")
    write_json(folder / MEASURES, asdict(trained))
    return trained


def _require_own(folder: Path) -> None:
    """Raise UsageError for a folder with other files than a training's."""
    if folder.exists() and any(folder.iterdir()) and not (folder / POLICY).is_file():
        raise UsageError(
            f"{folder} holds other files", expected="an empty folder, or an earlier policy", hint="--set out=ANOTHER"
        )


def _compare(
    config: Config, objective: str, data: Data, source: Source, policy: Policy, vocabulary: Vocabulary
) -> dict[str, Answers]:
    """Return the answers of the head trained without the picture, and for drawn scenes without the instruction."""
    nothing = blind(policy.options.features)
    unseen, _, _ = _fit(config, objective, data, nothing, vocabulary, prompted=False)
    found = {"blind": _answer(unseen, config, data, nothing, vocabulary, prompted=False)}
    if data.drawn and not is_prompted(config):
        unread, _, _ = _fit(config, objective, data, source, vocabulary, mute=True)
        found["mute"] = _answer(unread, config, data, source, vocabulary, mute=True)
    return found


def _fit(
    config: Config, objective: str, data: Data, source: Any, vocabulary: Vocabulary,
    *, prompted: bool | None = None, mute: bool = False, on_epoch: OnEpoch = lambda progress: None,
) -> tuple[Policy, list[float], list[float]]:  # fmt: skip
    torch.manual_seed(config.training.seed)
    prompted = is_prompted(config) if prompted is None else prompted
    learn = Demonstrations(data, data.train, source, vocabulary, prompted=prompted, mute=mute)
    features, _, state, action = learn[0]
    options = Options(
        objective=objective, features=features.shape[-1], tokens=features.shape[1], cameras=data.sets[0].cameras,
        actions=len(action), state=len(state), reads_text=not prompted, width=config.training.width,
        solver=config.sampling.solver, steps=config.sampling.steps,
    )  # fmt: skip
    policy = Policy(options, vocabulary.pieces)
    rows = [data.row(pair) for pair in data.train]
    policy.scale_to(torch.tensor([row.action for row in rows]), torch.tensor([row.state for row in rows]))
    return policy, *_epochs(policy, learn, config, on_epoch)


def _answer(
    policy: Policy, config: Config, data: Data, source: Any, vocabulary: Vocabulary,
    *, prompted: bool | None = None, mute: bool = False,
) -> Answers:  # fmt: skip
    prompted = is_prompted(config) if prompted is None else prompted
    check = Demonstrations(data, data.held_out, source, vocabulary, prompted=prompted, mute=mute)
    return answer(policy, _batches(check, config, shuffle=None), seed=config.training.seed)


@torch.enable_grad()  # type: ignore[untyped-decorator]  # importing VLMEvalKit turns gradients off for the process
def _epochs(
    policy: Policy, learn: Demonstrations, config: Config, on_epoch: OnEpoch
) -> tuple[list[float], list[float]]:
    options = config.training
    chance = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    steps = options.epochs * -(-len(learn) // options.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=options.lr, total_steps=steps)
    seconds, losses = [], []
    for epoch in range(options.epochs):
        begun, total = time.monotonic(), 0.0
        policy.train()
        for batch in _batches(learn, config, shuffle=chance):
            loss = policy.loss(batch, chance)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch.actions)
        seconds.append(time.monotonic() - begun)
        losses.append(total / len(learn))
        on_epoch({"epoch": epoch + 1, "of": options.epochs, "loss": losses[-1], "seconds": seconds[-1]})
    return seconds, losses


def _batches(data: Demonstrations, config: Config, *, shuffle: torch.Generator | None) -> DataLoader[Batch]:
    return DataLoader(
        data, config.training.batch_size, shuffle=shuffle is not None, generator=shuffle, collate_fn=collate
    )
