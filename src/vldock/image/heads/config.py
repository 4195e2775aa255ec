"""One YAML file for data, cache and both trainings: its names are the fields below, each with a default."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from vldock.common.cache_env import OUTPUTS
from vldock.common.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Data:
    """The drawn data set: where, how many pictures to train on and to hold out, the seed."""

    folder: str = f"{OUTPUTS}/heads/scenes"
    train: int = 1600
    held_out: int = 200
    seed: int = 0


@dataclass(frozen=True)
class Cache:
    """The features: folder ("": $VLDOCK_FEATURES), whose tower, dtype as stored, limit in GB (0: none), reading."""

    folder: str = ""
    model: str = "liuhaotian/llava-v1.5-7b"
    dtype: str = "float16"
    limit: float = 0.0
    batch_size: int = 16
    num_workers: int = 0
    prefetch_factor: int = 2


@dataclass(frozen=True)
class Training:
    """Epochs, rows a step, peak learning rate of a one-cycle schedule, width of the network, seed."""

    epochs: int = 24
    batch_size: int = 32
    lr: float = 0.003
    width: int = 96
    seed: int = 0


@dataclass(frozen=True)
class Sampling:
    """How flow matching draws an action: the solver, euler or heun, and its steps from noise to action."""

    solver: str = "heun"
    steps: int = 10


@dataclass(frozen=True)
class Config:
    """Everything; `out` gets one folder for each objective."""

    out: str = f"{OUTPUTS}/heads"
    data: Data = field(default_factory=Data)
    cache: Cache = field(default_factory=Cache)
    training: Training = field(default_factory=Training)
    sampling: Sampling = field(default_factory=Sampling)


def read(path: Path | None, overrides: Sequence[str] = ()) -> Config:
    """Return the file's settings, `overrides` ("training.epochs=3") on top.

    Raises UsageError for a name or a type that is not a setting's.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) if path else {}
        for one in overrides:
            name, _, text = one.partition("=")
            _set(given := given or {}, name.split("."), yaml.safe_load(text))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--config {path}: {error}", expected="a YAML file", hint="see docs/use/features.md"
        ) from error
    return _made(Config, given or {}, "")


def write(config: Config, path: Path) -> None:
    """Write every setting, defaults too."""
    path.write_text(yaml.safe_dump(asdict(config), sort_keys=False), encoding="utf-8")


def _set(into: dict[str, Any], names: list[str], value: Any) -> None:
    for name in names[:-1]:
        into = into.setdefault(name, {})
    into[names[-1]] = value


def _made(kind: type[T], given: Any, where: str) -> T:
    if not isinstance(given, Mapping):
        raise UsageError(f"{where or 'the configuration'} is {given!r}", expected="names and their values")
    types = get_type_hints(kind)
    known = {one.name: types[one.name] for one in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"unknown setting {where}{name}", expected=", ".join(known))
        values[name] = _value(known[name], value, f"{where}{name}")
    return kind(**values)


def _value(kind: Any, value: Any, name: str) -> Any:
    if is_dataclass(kind):
        return _made(kind, value, f"{name}.")  # type: ignore[arg-type]
    if kind is float and type(value) in (int, str):
        with contextlib.suppress(ValueError):
            value = float(value)  # YAML 1.1 takes 1e-3 for a word
    if type(value) is not kind:
        raise UsageError(f"{name} is {value!r}", expected=f"a value of type {kind.__name__}")
    return os.path.expandvars(value) if kind is str else value
