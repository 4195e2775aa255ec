"""Every setting of a fine-tuning, its default, and how a YAML file and KEY=VALUE words override it.

The defaults are those of a LLaVA-NeXT on Oxford Flowers 102 on one GPU: batch 1, accumulation 16, learning rate 1e-5,
fp16, gradient checkpointing, 4 bits, clipping at 0.5, 90 % of the GPU's memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from vldock.common.errors import UsageError
from vldock.image.training.data.flower_questions import KINDS
from vldock.image.training.data.images import MAX_PIXELS
from vldock.image.training.data.problems import ACCEPTABLE

METHODS = ("qlora", "lora", "projector", "full")
PRECISIONS = ("fp16", "bf16", "fp32")
SOURCES = ("hub", "archive", "json")
CHOICES = {"method": METHODS, "precision": PRECISIONS, "source": SOURCES, "proof": ("auto", "full", "weights")}
SUBSETS = {"questions": KINDS, "accept": ACCEPTABLE}


@dataclass(frozen=True)
class Data:
    """Where the data comes from. Held out: the source's own validation split, or a part where it has none."""

    source: str = "hub"
    name: str = "nelorth/oxford-flowers"  # of the Hub
    path: str = ""  # archive: the folder; json: the file
    images: str = ""  # json: the folder its paths are relative to; default: the file's
    heldout_path: str = ""  # json: a file of its own for the held-out records
    heldout_fraction: float = 0.0  # 0: the source's own split, else 0.1
    sample_fraction: float = 1.0
    questions: tuple[str, ...] = ("name", "choice")
    choices: int = 4
    accept: tuple[str, ...] = ()  # flaws to set right and count instead of refusing; flaws.py
    max_pixels: int = MAX_PIXELS
    seed: int = 0


@dataclass(frozen=True)
class Model:
    """What is trained, and which part of it."""

    base: str = "liuhaotian/llava-v1.6-vicuna-7b"
    method: str = "qlora"
    lora_r: int = 64
    lora_alpha: int = 128
    lora_dropout: float = 0.05
    train_projector: bool = True  # with lora and qlora
    feature_cache: bool = False  # the frozen tower's features are kept in $VLDOCK_FEATURES


@dataclass(frozen=True)
class Train:
    """How it is trained. Steps are updates of the weights."""

    epochs: float = 1.0
    max_steps: int = 0  # 0: as many as `epochs` takes
    batch_size: int = 1
    accumulation: int = 16
    learning_rate: float = 1e-5
    warmup_fraction: float = 0.03
    weight_decay: float = 0.0
    scheduler: str = "cosine"
    precision: str = "fp16"  # on a CPU fp32
    gradient_checkpointing: bool = True
    clip: float = 0.5
    gpu_memory_fraction: float = 0.9
    log_every: int = 10
    save_every: int = 100  # also: held-out answers are scored
    heldout_samples: int = 200  # scored at each save; the whole held-out set at the end
    answer_tokens: int = 16
    patience: int = 5  # saves without a better accuracy before it stops; 0: never
    proof: str = "auto"  # of the first checkpoint: full (exported, loaded, compared), weights, or by size
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """All of it; `out` is the run's folder."""

    out: str = "checkpoints/run"
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, lists for tuples, as YAML holds them."""
        return _plain(dataclasses.asdict(self))

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML."""
        import yaml

        return str(yaml.safe_dump(self.as_dict(), sort_keys=False))


def load(path: Path | None, words: Sequence[str] = ()) -> Config:
    """Return the configuration of a YAML file (None: the defaults) with KEY=VALUE words over it: train.epochs=3.

    Raises UsageError for a file that cannot be read, an unknown key (the nearest is named) or a value out of range.
    """
    import yaml

    values: dict[str, Any] = {}
    if path is not None:
        try:
            read = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"{path} cannot be read: {error}", expected="a YAML file of settings") from error
        if not isinstance(read or {}, dict):
            raise UsageError(f"{path} holds a {type(read).__name__}", expected="settings: `train: {epochs: 3}`")
        values = dict(read or {})
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"{word}: no =", expected="KEY=VALUE, such as train.epochs=3")
        _put(values, key, yaml.safe_load(text) if text else "")
    config: Config = _build(Config, values, "")
    _check(config)
    return config


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *above, last = key.split(".")
    for name in above:
        inner = values.setdefault(name, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{key}: {name} is no section", expected="data, model or train")
        values = inner
    values[last] = value


def _build(kind: type, values: Mapping[str, Any], above: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(values, Mapping):
        raise UsageError(f"{above.rstrip('.')}: {values!r}", expected="a section: `train: {epochs: 3}`")
    for name in values:
        if name not in hints:
            close = difflib.get_close_matches(f"{above}{name}", _all_keys(), n=1, cutoff=0.4)
            hint = f"did you mean {close[0]}?" if close else "python -m vldock.image train --print-config"
            raise UsageError(f"unknown setting {above}{name}", expected=", ".join(hints), hint=hint)
    made = {}
    for each in fields(kind):
        if each.name in values:
            made[each.name] = _value(hints[each.name], values[each.name], f"{above}{each.name}")
    return kind(**made)


def _value(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{name}.")  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        items = value if isinstance(value, list) else [value] if value != "" else []
        return tuple(_value(get_args(hint)[0], item, name) for item in items)
    if hint is str and value is None:
        return ""
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 1e-5 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise UsageError(f"{name}={value!r}", expected=f"a value of type {hint.__name__}")
    return value


def _all_keys() -> list[str]:
    sections = {"data": Data, "model": Model, "train": Train}
    inner = [f"{section}.{each.name}" for section, kind in sections.items() for each in fields(kind)]
    return ["out", *sections, *inner]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _check(config: Config) -> None:
    """Raise UsageError for a value no training can have."""
    for section in (config.data, config.model, config.train):
        for each in fields(section):
            value = getattr(section, each.name)
            if each.name in CHOICES and value not in CHOICES[each.name]:
                raise UsageError(f"{each.name}={value}", expected=" or ".join(CHOICES[each.name]))
            if wrong := set(value) - set(SUBSETS[each.name]) if each.name in SUBSETS else set():
                raise UsageError(f"{each.name}: {sorted(wrong)[0]}", expected=", ".join(SUBSETS[each.name]))
    data, train = config.data, config.train
    for name, value, low, high in (
        ("data.sample_fraction", data.sample_fraction, 1e-6, 1.0),
        ("data.heldout_fraction", data.heldout_fraction, 0.0, 0.9),
        ("data.choices", data.choices, 2, 26),
        ("train.batch_size", train.batch_size, 1, 4096),
        ("train.accumulation", train.accumulation, 1, 65536),
        ("train.learning_rate", train.learning_rate, 1e-12, 10.0),
        ("train.gpu_memory_fraction", train.gpu_memory_fraction, 0.05, 1.0),
        ("train.log_every", train.log_every, 1, 10**9),
        ("train.save_every", train.save_every, 1, 10**9),
        ("train.epochs", train.epochs, 1e-6, 1e6),
        ("model.lora_r", config.model.lora_r, 1, 4096),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name}={value}", expected=f"{low} to {high}")
