"""LLaVA's load_pretrained_model for names: resolved, checked, loaded by the right class.

LLaVA's side is llava/model/workspace_builder.py, which patches/patch_llava_workspace.py adds.
"""

from __future__ import annotations

from typing import Any

from llava.model.builder import load_pretrained_model

from vldock.common.errors import UsageError
from vldock.image.process import env_file
from vldock.image.workspace import model_location, naming
from vldock.image.workspace.model_location import ModelLocation

Loaded = tuple[Any, Any, Any, int]


def load_pretrained_model_workspace(
    model_path: str, model_base: str | None = None, model_name: str | None = None, **options: Any
) -> Loaded:
    """Return (tokenizer, model, image_processor, context_len), as LLaVA's builder does.

    The original is llava.model.builder.load_pretrained_model.

    `model_path` and `model_base` are names, see model_location.resolve; the chosen location is printed on standard
    error. `model_name` is used only where the checkpoint's config does not decide. `options` are the builder's (device,
    device_map, torch_dtype, load_4bit ...); downloads go into the cache only.

    Raises UsageError for an unknown name or a missing base, EnvironmentUnfit where weights are neither here nor to be
    had, InputRefused where they are not whole.
    """
    env_file.load_mounted()
    return load_place(model_location.resolve(model_path), model_base, model_name, **options)


def load_place(place: ModelLocation, base: str | None = None, name: str | None = None, **options: Any) -> Loaded:
    """Load the weights at `place`.

    An adapter's config names its base by default.
    """
    model_location.print_location(place)
    model_location.require_whole(place)
    below = _base(place, base)
    loaded: Loaded = load_pretrained_model(
        place.path, below.path if below else None, naming.model_name(place, name), **options
    )
    return loaded


def _base(place: ModelLocation, requested: str | None) -> ModelLocation | None:
    named = requested or naming.named_base(place)
    if named is None:
        if place.local and naming.needs_base(place):
            raise UsageError(
                f"{place.path} is a part of a model: an adapter, or a projector",
                expected="the model it was trained on",
                hint="name it: model_base=..., or --model-base",
            )
        return None
    below = model_location.resolve(named)
    model_location.print_location(below)
    model_location.require_whole(below)
    return below
