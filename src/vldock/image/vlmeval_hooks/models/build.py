"""Building of a model, once.

After a failure, building fails at once for the benchmarks that follow.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any

from vldock.common.errors import VldockError
from vldock.image.remote_code import loading
from vldock.image.vlmeval_hooks.process import error_lines
from vldock.image.vlmeval_hooks.provenance import prompts, specs
from vldock.image.weights import model_files

_failed: dict[str, str] = {}
_resident: list[Callable[[str], Any | None]] = []  # returns the model of a session's worker


def use_resident(find: Callable[[str], Any | None]) -> None:
    """Set the finder of a session worker's models, asked before a build."""
    _resident[:] = [find]


class ModelLoadError(VldockError):
    """The model could not be loaded; the message carries the real cause."""


def forget_failures() -> None:
    """Forget failed models at the start of a run.

    They are then tried again.
    """
    _failed.clear()


def cache_versions() -> None:
    """Cache the versions of installed packages.

    transformers reads Pillow's seven times an image, a parsed file each.
    Source: transformers 4.37.2, utils/import_utils.py, is_vision_available().
    """
    if not hasattr(importlib.metadata.version, "cache_info"):
        importlib.metadata.version = functools.cache(importlib.metadata.version)


def settle_generation_config(model: Any) -> None:
    """Mark a model's generation config as settled.

    Only where it equals the model config's.
    transformers otherwise makes it anew from the model's config at each call and compares, in case the config was
    changed: 5 ms a question. Source: transformers 4.37.2, generation/utils.py, generate().
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
    loading.install()
    try:
        model_files.require_whole(*specs.repositories(factories[name]))
        model = prompts.watch(factories[name](**options))
        settle_generation_config(model)
        return model
    except Exception as error:
        _failed[name] = f"{name} could not be loaded: {error_lines.one_line(error)}"
        raise ModelLoadError(_failed[name]) from error
