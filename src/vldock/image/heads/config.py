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
from vldock.common.errors import UsageError
from vldock.image import settings_file
from vldock.image.settings_file import SettingsFile

FEATURES = TOWER, PROMPT = ("tower", "prompt")


@dataclass(frozen=True)
class Data:
    """Episodes: folders of your own, else drawn ones.

    `path` may be several folders with the same cameras and actions. `form` is that of episodes/read.py, `name` replaces
    one folder's name in the cache. `held_out` is a share of the episodes.
    Without `path`, `episodes` of `steps` rows are drawn below `folder`.
    """

    path: tuple[str, ...] = ()
    form: str = "auto"
    name: str = ""
    held_out: float = 0.2
    seed: int = 0
    folder: str = f"{OUTPUTS}/heads/scenes"
    episodes: int = 500
    steps: int = 4


@dataclass(frozen=True)
class Cache:
    """Features: folder, model, kind, stored dtype, limit, loading.

    `folder` "" is $VLDOCK_FEATURES, `limit` is in GB (0: none). `features` is tower, or prompt: image and instruction
    read by the language model, hidden state `hidden` of the positions `tokens`. `model_code` is a file that defines
    another model, `resize` HxW of every picture. `pt_folder` is read instead of the
    cache: {prompt hash}/{data set}_vlm{number}.pt.
    """

    folder: str = ""
    model: str = "liuhaotian/llava-v1.5-7b"
    model_code: str = ""
    resize: str = ""
    features: str = TOWER
    hidden: int = -1
    tokens: str = "last"
    pt_folder: str = ""
    dtype: str = "float16"
    limit: float = 0.0
    batch_size: int = 16
    num_workers: int = 0
    prefetch_factor: int = 2


@dataclass(frozen=True)
class Training:
    """Training of a head.

    Epochs, rows a step, peak learning rate of a one-cycle schedule, AdamW's decay, width of the network, seed.
    `compare` also trains the head without the picture.
    """

    epochs: int = 24
    batch_size: int = 32
    lr: float = 0.003
    weight_decay: float = 1.0
    width: int = 96
    seed: int = 0
    compare: bool = True


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


FILE = SettingsFile(Config, example="training.epochs=3", hint="see docs/use/policy-heads.md")


def read(path: Path | None, words: Sequence[str] = ()) -> Config:
    """Return a file's settings, overridden by KEY=VALUE arguments.

    $VARIABLE in a text is expanded.

    Raises UsageError for a name, a type or a value that is not a setting's.
    """
    config: Config = _expand(FILE.read(path, words))
    if config.cache.features not in FEATURES:
        raise UsageError(f"cache.features is {config.cache.features!r}", expected=" or ".join(FEATURES))
    if not 0 < config.data.held_out < 1:
        raise UsageError(
            f"data.held_out is {config.data.held_out}", expected="a share of the episodes, between 0 and 1"
        )
    if config.data.name and len(config.data.path) != 1:
        raise UsageError(f"data.name with {len(config.data.path)} folders", expected="one folder in data.path")
    if min(config.training.epochs, config.training.batch_size, config.training.width) < 1:
        raise UsageError("training.epochs, batch_size or width is below 1", expected="1 or more")
    return config


def write(config: Config, path: Path) -> None:
    """Write every setting, defaults too."""
    path.write_text(settings_file.to_yaml(config), encoding="utf-8")


def _expand(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _expand(getattr(value, each.name)) for each in fields(value)})
    if isinstance(value, tuple):
        return tuple(_expand(one) for one in value)
    return os.path.expandvars(value) if isinstance(value, str) else value
