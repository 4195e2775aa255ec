"""Configuration of the heads, in one YAML file.

Sections: data, cache, training and sampling.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from vldock.common.cache_env import OUTPUTS
from vldock.image import settings_file
from vldock.image.settings_file import SettingsFile


@dataclass(frozen=True)
class Data:
    """Drawn data set: folder, training and held-out pictures, seed."""

    folder: str = f"{OUTPUTS}/heads/scenes"
    train: int = 1600
    held_out: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Cache:
    """Features: folder, tower's model, stored dtype, limit, loading.

    `folder` "" is $VLDOCK_FEATURES, `limit` is in GB (0: none).
    """

    folder: str = ""
    model: str = "liuhaotian/llava-v1.5-7b"
    dtype: str = "float16"
    limit: float = 0.0
    batch_size: int = 16
    num_workers: int = 0
    prefetch_factor: int = 2


@dataclass(frozen=True)
class Training:
    """Training of a head.

    Epochs, rows a step, peak learning rate of a one-cycle schedule, width of the network, seed.
    """

    epochs: int = 24
    batch_size: int = 32
    lr: float = 0.003
    width: int = 96
    seed: int = 0


@dataclass(frozen=True)
class Sampling:
    """Sampling of flow matching: solver and number of steps.

    The solver is euler or heun; the steps lead from noise to the action.
    """

    solver: str = "heun"
    steps: int = 10


@dataclass(frozen=True)
class Config:
    """Whole configuration; `out` gets one folder for each objective."""

    out: str = f"{OUTPUTS}/heads"
    data: Data = field(default_factory=Data)
    cache: Cache = field(default_factory=Cache)
    training: Training = field(default_factory=Training)
    sampling: Sampling = field(default_factory=Sampling)


FILE = SettingsFile(Config, example="training.epochs=3", hint="see docs/use/features.md")


def read(path: Path | None, words: Sequence[str] = ()) -> Config:
    """Return a file's settings, overridden by KEY=VALUE arguments.

    $VARIABLE in a text is expanded.

    Raises UsageError for a name or a type that is not a setting's.
    """
    config: Config = _expand(FILE.read(path, words))
    return config


def write(config: Config, path: Path) -> None:
    """Write every setting, defaults too."""
    path.write_text(settings_file.to_yaml(config), encoding="utf-8")


def _expand(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _expand(getattr(value, each.name)) for each in fields(value)})
    return os.path.expandvars(value) if isinstance(value, str) else value
