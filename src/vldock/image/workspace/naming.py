"""Model name by which LLaVA's builder picks a class.

It follows from a checkpoint's config.
llava/model/builder.py looks for `llava`, `mpt`, `mistral` and `lora` anywhere in its name argument, usually the last
part of the path: a Hub snapshot is named by its hash, `attempt-3` contains mpt, and ShareGPT4V's name `share4v`.
Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vldock.image.workspace.model_location import ADAPTER, ModelLocation

MARKS = ("mm_vision_tower", "mm_projector_type")  # keys of LLaVA's configs only, whatever the model's name
FAMILIES = ("mpt", "mistral")


def model_name(place: ModelLocation, fallback: str | None = None) -> str:
    """Return the name for builder.py.

    `fallback` is used where the weights are not here yet, or have no config.
    """
    config = _config(place)
    if config is None:
        return fallback or Path(place.repo or place.path).name
    family = next((name for name in FAMILIES if name in _kind(config)), "llama")
    if not _is_llava(config):
        return family
    return f"llava-{family}" + ("-lora" if is_adapter(place) else "")


def is_llava(place: ModelLocation) -> bool | None:
    """Return whether the config is a LLaVA's; None without a config.

    The model's own name does not matter.
    """
    config = _config(place)
    return None if config is None else _is_llava(config)


def is_adapter(place: ModelLocation) -> bool:
    """Return whether the weights are an adapter (LoRA), which needs its base."""
    return place.local and (place.folder / ADAPTER).is_file()


def named_base(place: ModelLocation) -> str | None:
    """Return the base named by an adapter's files.

    None where there is none.
    """
    if not is_adapter(place):
        return None
    said = json.loads((place.folder / ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path")
    return said if isinstance(said, str) and said else None


def needs_base(place: ModelLocation) -> bool:
    """Return whether the weights are only a part of a model.

    An adapter, or a projector alone.
    """
    if is_adapter(place):
        return True
    names = {path.name for path in place.folder.iterdir()} if place.local else set()
    return "mm_projector.bin" in names and not any(
        name.startswith(("pytorch_model", "model")) and name.endswith((".bin", ".safetensors", ".json"))
        for name in names
    )


def _kind(config: dict[str, Any]) -> str:
    return " ".join((str(config.get("model_type", "")), *map(str, config.get("architectures") or ()))).lower()


def _is_llava(config: dict[str, Any]) -> bool:
    return "llava" in _kind(config) or any(mark in config for mark in MARKS)


def _config(place: ModelLocation) -> dict[str, Any] | None:
    path = place.folder / "config.json"
    if not place.local or not path.is_file():
        return None
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config
