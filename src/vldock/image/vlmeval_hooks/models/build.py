"""Building the model: once, and where that fails, failing at once for the benchmarks that follow."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any

from vldock.common.errors import VldockError
from vldock.image.vlmeval_hooks.process import error_lines
from vldock.image.vlmeval_hooks.provenance import prompts, specs
from vldock.image.weights import model_files

_failed: dict[str, str] = {}
_resident: list[Callable[[str], Any | None]] = []  # finds a model that a session's worker holds


def use_resident(find: Callable[[str], Any | None]) -> None:
    """Take models from `find` where it has them, before any is built here."""
    _resident[:] = [find]


class ModelLoadError(VldockError):
    """The model could not be loaded; the message carries the real cause."""


def forget_failures() -> None:
    """Let models that failed be tried again: a run begins."""
    _failed.clear()


def cache_versions() -> None:
    """Read a package's version once: transformers asks for Pillow's seven times an image, and each is a file parsed.

    Source: transformers 4.37.2, utils/import_utils.py, is_vision_available().
    """
    if not hasattr(importlib.metadata.version, "cache_info"):
        importlib.metadata.version = functools.cache(importlib.metadata.version)


def settle_generation_config(model: Any) -> None:
    """Have generate() take a model's settings of decoding as they are, where its config says nothing else.

    transformers makes them anew from the model's config at each call and compares, for whoever changed the config
    meanwhile: 5 ms a question. Source: transformers 4.37.2, generation/utils.py, generate().
    """
    inner: Any = getattr(model, "model", None)
    settings: Any = getattr(inner, "generation_config", None)
    if getattr(settings, "_from_model_config", False) and type(settings).from_model_config(inner.config) == settings:
        settings._from_model_config = False


def build(factories: Mapping[str, Callable[..., Any]], name: str, options: Mapping[str, Any]) -> Any:
    """Return `factories[name](**options)`; raise ModelLoadError, from then on without trying again."""
    if name in _failed:
        raise ModelLoadError(_failed[name])
    for find in _resident:
        if (held := find(name)) is not None:
            return held
    cache_versions()
    try:
        model_files.require_whole(specs.repo_of(factories[name]))
        model = prompts.watch(factories[name](**options))
        settle_generation_config(model)
        return model
    except Exception as error:
        _failed[name] = f"{name} could not be loaded: {error_lines.one_line(error)}"
        raise ModelLoadError(_failed[name]) from error
