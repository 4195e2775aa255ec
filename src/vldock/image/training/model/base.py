"""Base of a training: its files, and how they are loaded; a LLaVA, or a language model that becomes one."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vldock.common import hub_cache_layout
from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.common.matrix import find_remote_code
from vldock.image.training.config import Config
from vldock.image.training.dataset import resolve
from vldock.image.training.model import language_model
from vldock.image.weights import model_files as files


def require_possible(config: Config, device: str) -> None:
    """Raise an error for a configuration impossible here.

    EnvironmentUnfit for 4 bits without a GPU, InputRefused for a base with remote code, or one that is not here while
    offline.
    """
    if remote := find_remote_code(config.model.base, Path(config.model.base).name):
        raise InputRefused(
            f"model.base={config.model.base}: {remote.name} is no LLaVA, its classes are remote code",
            expected="a checkpoint in LLaVA's own format, such as liuhaotian/llava-v1.5-7b",
        )
    if config.model.method == "qlora" and device == "cpu":
        raise EnvironmentUnfit(
            "model.method=qlora: bitsandbytes computes 4-bit weights on a GPU only, and none is visible",
            expected="an NVIDIA GPU",
            hint="start the container with --gpus all; or on the CPU: model.method=lora",
        )
    path = str(base_path(config))
    files.require_whole(path)
    _require_here("model.base", config.model.base, path)
    if language_model.is_language_model(path):
        tower = str(tower_path(config))
        files.require_whole(tower)
        _require_here("model.tower", config.model.tower or language_model.TOWER, tower)
        language_model.require_trainable_projector(config.model)


def _require_here(setting: str, name: str, path: str) -> None:
    """Raise InputRefused for a repository that is neither in the cache nor to be had."""
    if files.is_offline() and files.folder_of(path) is None:
        raise InputRefused(
            f"{setting}={name} is not in the cache, and this container is offline",
            expected="a folder, or a repository in the cache",
            hint=f"{hub_cache_layout.fetch_hint(path)}; or {setting}=/workspace/models/...",
        )


def base_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path | str:
    """Return the base's folder in the workspace, else the repository's name.

    It is looked for in models/ and weights/.
    """
    return _place(config.model.base, environ)


def tower_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path | str:
    """Return the folder or repository of a language model's vision tower, found as `base_path` is."""
    return _place(config.model.tower or language_model.TOWER, environ)


def _place(name: str, environ: Mapping[str, str]) -> Path | str:
    for folder in ("models", "weights"):
        if (found := resolve(name, environ, folder)).is_dir():
            return found
    return name


def projector_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file of model.projector_weights, or of the run that is named; None where none is."""
    if not config.model.projector_weights:
        return None
    found = resolve(config.model.projector_weights, environ, "checkpoints")
    return found / language_model.WEIGHTS if found.is_dir() else found


def base_digest(config: Config) -> str | None:
    """Return a digest of all files the base is made of; None before they are downloaded."""
    path, given = str(base_path(config)), projector_path(config)
    towers = [str(tower_path(config))] if files.folder_of(path) and language_model.is_language_model(path) else []
    digest = files.digest(path, *towers, every=True)
    if digest is None or given is None or not given.is_file():
        return digest
    return hashlib.sha256(digest.encode() + given.read_bytes()).hexdigest()[: len(digest)]


def describe(config: Config) -> str | None:
    """Return one line about a language model as base; None for a LLaVA."""
    path = str(base_path(config))
    return language_model.describe(config) if language_model.is_language_model(path) else None


def read_base(config: Config, *, device: str, dtype: torch.dtype, **options: Any) -> tuple[Any, Any, Any]:
    """Return (tokenizer, model, image processor) of a base, with the configuration's settings of it.

    Raises InputRefused for a base that is not whole, or is not what the settings say.
    """
    path, settings = str(base_path(config)), config.model
    if language_model.is_language_model(path):
        found = language_model.build(
            path, settings, tower=str(tower_path(config)), seed=config.train.seed, device=device, dtype=dtype, **options
        )
    else:
        found = read(path, device=device, dtype=dtype, **options)
        language_model.require_same_parts(found[1].config, settings, path, tower=str(tower_path(config)))
    model = found[1]
    if (weights := projector_path(config)) is not None:
        language_model.load_projector(model, weights)
    _apply(settings, model.config)
    fix_generation_config(model)
    require_grid(model.config, path)
    return found


def _apply(settings: Any, config: Any) -> None:
    """Write settings into a model's config, where inference reads them; a base's `plain` is never its own."""
    if settings.image_aspect_ratio:
        config.image_aspect_ratio = settings.image_aspect_ratio
    if settings.max_length:
        config.tokenizer_model_max_length = settings.max_length
    if settings.template or getattr(config, "conversation_template", None) == "plain":
        config.conversation_template = settings.template or None


def read(path: str, *, device: str, dtype: torch.dtype, **options: Any) -> tuple[Any, Any, Any]:
    """Return (tokenizer, model, image processor) as llava.model.builder loads them.

    Raises InputRefused for a checkpoint that is only a part.

    A tower that was trained is in the checkpoint: LLaVA loads openai's into nothing first, and torch warns of that.
    """
    from llava.mm_utils import get_model_name_from_path
    from llava.model.builder import load_pretrained_model

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter in the checkpoint to a meta")
        name = get_model_name_from_path(path)
        tokenizer, model, processor, _ = load_pretrained_model(
            path, None, name, device=device, device_map={"": device}, torch_dtype=dtype, **options
        )
    empty = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if processor is None or empty:
        raise InputRefused(
            f"{path} is not whole: " + (f"{empty[0]} has no values" if empty else "it has no image processor"),
            expected="a LLaVA with all its weights; with unfreeze_mm_vision_tower the tower's too",
        )
    return tokenizer, model, processor


def fix_generation_config(model: Any) -> list[str]:
    """Reset sampling settings in contradiction to do_sample=False; return their names.

    transformers 4.37 loads vicuna-v1.5's generation_config (temperature 0.9 without do_sample) and refuses to save it:
    a whole training would be lost in save_pretrained.
    """
    settings = model.generation_config
    if settings.do_sample:
        return []
    names = {"temperature": 1.0, "top_p": 1.0, "top_k": 50, "typical_p": 1.0}
    mended = [name for name, plain in names.items() if getattr(settings, name, plain) != plain]
    for name in mended:
        setattr(settings, name, names[name])
    return mended


def require_grid(config: Any, path: str) -> None:
    """Raise InputRefused for a LLaVA-NeXT config without its grid of tiles.

    Inference could not use it.
    """
    if getattr(config, "image_aspect_ratio", None) == "anyres" and not getattr(config, "image_grid_pinpoints", None):
        raise InputRefused(
            f"{path}: its config says image_aspect_ratio=anyres and has no image_grid_pinpoints",
            expected="image_grid_pinpoints, as in liuhaotian/llava-v1.6-vicuna-7b: [[336, 672], [672, 336], ...]",
            hint="add it to config.json; LLaVA's own train.py writes such a config, and nothing can load it",
        )
