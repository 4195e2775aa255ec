"""Preparation of data and features, and training of a policy.

The policy is trained by either objective.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from vldock.common.filesystem.atomic import write_json
from vldock.image.features import torchrun_store, towers
from vldock.image.features.build import BuildResult, Progress, build
from vldock.image.features.cache import FeatureCache, default_root
from vldock.image.features.lookup import compute_function
from vldock.image.features.picture_loader import LoaderOptions
from vldock.image.features.picture_rows import from_json
from vldock.image.heads import config as settings
from vldock.image.heads import scenes
from vldock.image.heads.config import Config
from vldock.image.heads.data import Batch, Demonstrations, collate, dataset_name
from vldock.image.heads.measure import Measures, measure
from vldock.image.heads.policy import Policy

OnEpoch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of a training.

    Held-out measures, seconds per epoch, cache hits and misses.
    """

    objective: str
    measures: Measures
    epochs: tuple[float, ...]
    losses: tuple[float, ...]
    hits: int
    misses: int


def cache_root(config: Config) -> Path:
    """Return the features' folder: the configuration's, else the default."""
    return Path(config.cache.folder) if config.cache.folder else default_root()


def prepare(config: Config, *, on_progress: Progress = lambda progress: None) -> BuildResult:
    """Draw the data set and build its features, alone or under torchrun.

    Raises the errors of `build`.
    """
    rank, _ = torchrun_store.rank_and_world()
    if not rank:
        _files(config)
    torchrun_store.wait()
    rows = [row for path in _files(config).values() for row in from_json(path, dataset=dataset_name(path))]
    tower, processor = towers.open_tower(config.cache.model, device=torchrun_store.device())
    loader = LoaderOptions(config.cache.batch_size, config.cache.num_workers, config.cache.prefetch_factor)
    limit = int(config.cache.limit * 1e9) or None
    return build(
        rows, vl_model=tower, processor=processor, cache_dir=cache_root(config), dtype=config.cache.dtype,
        limit=limit, loader=loader, on_progress=on_progress,
    )  # fmt: skip


def train(
    config: Config, objective: str, *, cached: bool = True, on_epoch: OnEpoch = lambda progress: None
) -> TrainingResult:
    """Train a policy and write it, its configuration and measures below `config.out`.

    From the cache no tower is loaded, and a row that is not there is refused. `cached=False` computes every feature
    every time, by the same code: the difference in time is the cache's.
    """
    torch.manual_seed(config.training.seed)
    files = _files(config)
    with _demonstrations(config, files, cached=cached) as (learn, check, cache):
        policy = _policy(config, objective, learn[0][0])
        seconds, losses = _epochs(policy, learn, config, on_epoch)
        found = measure(policy, _batches(check, config, shuffle=None), seed=config.training.seed)
        counts = cache.counts
    trained = TrainingResult(objective, found, tuple(seconds), tuple(losses), counts.hits, counts.misses)
    folder = Path(config.out) / objective
    folder.mkdir(parents=True, exist_ok=True)
    policy.save(folder / "policy.safetensors", objective=objective, space=asdict(cache.space))
    settings.write(config, folder / "config.yaml")
    write_json(folder / "measures.json", asdict(trained))
    return trained


@contextmanager
def _demonstrations(
    config: Config, files: dict[str, Path], *, cached: bool
) -> Iterator[tuple[Demonstrations, Demonstrations, FeatureCache]]:
    tower, processor = towers.open_tower(config.cache.model)
    space = towers.space_of(tower, processor, config.cache.dtype)
    root = cache_root(config) if cached else Path("/nonexistent")
    with FeatureCache(root, space) as cache:
        compute = None if cached else compute_function(tower, processor)
        yield Demonstrations(files["train"], cache, compute), Demonstrations(files["held-out"], cache, compute), cache


def _policy(config: Config, objective: str, features: torch.Tensor) -> Policy:
    tokens, width = features.shape
    return Policy(
        objective=objective, features=width, tokens=tokens, width=config.training.width,
        solver=config.sampling.solver, steps=config.sampling.steps,
    )  # fmt: skip


@torch.enable_grad()  # type: ignore[untyped-decorator]  # importing VLMEvalKit turns gradients off for the process
def _epochs(
    policy: Policy, learn: Demonstrations, config: Config, on_epoch: OnEpoch
) -> tuple[list[float], list[float]]:
    options = config.training
    chance = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=options.lr, weight_decay=0.01)
    steps = options.epochs * -(-len(learn) // options.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=options.lr, total_steps=steps)
    seconds, losses = [], []
    for epoch in range(options.epochs):
        begun, total = time.monotonic(), 0.0
        policy.train()
        for batch in _batches(learn, config, shuffle=chance):
            loss = policy.loss(batch.features, batch.words, batch.actions, chance)
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


def _files(config: Config) -> dict[str, Path]:
    data = config.data
    return scenes.write(Path(data.folder), train=data.train, held_out=data.held_out, seed=data.seed)
