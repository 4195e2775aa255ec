"""Settings of a fine-tuning: every name, default and allowed range.

The defaults are those of a LLaVA-NeXT on Oxford Flowers 102 on one GPU: batch 1, accumulation 16, learning rate 1e-5,
fp16, gradient checkpointing, 4 bits, clipping at 0.5, 90 % of the GPU's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from vldock.common.dataset_names import OXFORD_FLOWERS, resolve_dataset
from vldock.common.errors import UsageError
from vldock.image import settings_file
from vldock.image.settings_file import SettingsFile
from vldock.image.training.data.flower_questions import KINDS
from vldock.image.training.data.images import MAX_PIXELS
from vldock.image.training.data.problems import ACCEPTABLE

METHODS = ("qlora", "lora", "projector", "full")
PRECISIONS = ("fp16", "bf16", "fp32")
SOURCES = ("hub", "archive", "json")
SCHEDULERS = (
    "cosine",
    "linear",
    "constant",
    "constant_with_warmup",
    "cosine_with_restarts",
    "polynomial",
    "inverse_sqrt",
)
TEMPLATES = ("", "plain", "llava_v1", "llava_llama_2", "mistral_instruct")
CHOICES = {
    "method": METHODS, "precision": PRECISIONS, "source": SOURCES, "proof": ("auto", "full", "weights"),
    "scheduler": SCHEDULERS, "template": TEMPLATES, "image_aspect_ratio": ("", "pad", "square"),
    "projector": ("", "linear", "mlp2x_gelu", "mlp3x_gelu"),
}  # fmt: skip
SUBSETS = {"questions": KINDS, "accept": ACCEPTABLE}


@dataclass(frozen=True)
class Data:
    """Source of the data, and its held-out part.

    Held out is the source's own validation split, or a part where it has none.
    """

    source: str = "hub"
    name: str = OXFORD_FLOWERS  # of the Hub; by any name of common/dataset_names.py
    path: str = ""  # archive: the folder; json: the file
    images: str = ""  # json: the folder its paths are relative to; default: the file's
    heldout_path: str = ""  # json: a file of its own for the held-out records
    heldout_fraction: float = 0.0  # 0: the source's own split, else 0.1
    sample_fraction: float = 1.0
    questions: tuple[str, ...] = ("name", "choice")
    choices: int = 4
    accept: tuple[str, ...] = ()  # flaws to set right and count instead of refusing; see problems.py
    max_pixels: int = MAX_PIXELS
    seed: int = 0


@dataclass(frozen=True)
class Model:
    """Base model, training method and adapters.

    An empty text or 0 is the base's own value; a language model as base becomes a LLaVA-1.5 (model/language_model.py).
    """

    base: str = "liuhaotian/llava-v1.6-vicuna-7b"
    method: str = "qlora"
    lora_r: int = 64
    lora_alpha: int = 128
    lora_dropout: float = 0.05
    train_projector: bool = True  # with lora, qlora and full
    tower: str = ""  # CLIP; of a language model: openai/clip-vit-large-patch14-336
    projector: str = ""  # of a language model: mlp2x_gelu, fresh
    projector_weights: str = ""  # a file mm_projector.bin, read in place of fresh or the base's values
    select_layer: int = 0  # of the tower, from the end; of a language model: -2
    template: str = ""  # of llava.conversation; plain: an image and its caption, LLaVA's pretraining
    image_aspect_ratio: str = ""  # of a language model: pad
    max_length: int = 0  # positions; of a language model: 2048
    feature_cache: bool = False  # cache the frozen tower's features in $VLDOCK_FEATURES


@dataclass(frozen=True)
class Train:
    """Optimization, precision, logging and checkpoints. Steps are updates of the weights."""

    epochs: float = 1.0
    max_steps: int = 0  # 0: as many as `epochs` takes
    batch_size: int = 1
    accumulation: int = 16
    learning_rate: float = 1e-5
    projector_learning_rate: float = 0.0  # 0: the same
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
    workers: int = 0  # processes that read and encode batches; 0: the training process itself
    pin_memory: bool = True  # batches in page-locked memory: a GPU copies from it faster
    proof: str = "auto"  # of the first checkpoint: full (exported, loaded, compared), weights, or by size
    seed: int = 0


@dataclass(frozen=True)
class Config:
    """Whole configuration; `out` is the run's folder."""

    out: str = "checkpoints/run"
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, lists for tuples, as YAML holds them."""
        return settings_file.as_dict(self)

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML."""
        return settings_file.to_yaml(self)


FILE = SettingsFile(Config, example="train.epochs=3", hint="python -m vldock.image train --print-config")


def load(path: Path | None, words: Sequence[str] = ()) -> Config:
    """Return a YAML file's configuration, overridden by KEY=VALUE arguments.

    Without a file these are the defaults; an argument is, for example, train.epochs=3.

    Raises UsageError for a file that cannot be read, an unknown key (the nearest is named) or a value out of range.
    """
    config = FILE.read(path, words)
    _check(config)
    return replace(config, data=replace(config.data, name=resolve_dataset(config.data.name)))


def _check(config: Config) -> None:
    """Raise UsageError for a value outside its choices or range."""
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
        ("train.workers", train.workers, 0, 256),
        ("model.lora_r", config.model.lora_r, 1, 4096),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name}={value}", expected=f"{low} to {high}")
