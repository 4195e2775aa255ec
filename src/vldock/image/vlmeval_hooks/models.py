"""Building the model: once, and where that fails, failing at once for the benchmarks that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vldock.common.errors import VldockError
from vldock.image.vlmeval_hooks import causes, prompts

_failed: dict[str, str] = {}


class ModelLoadError(VldockError):
    """The model could not be loaded; the message carries the real cause."""


def forget() -> None:
    """Let models that failed be tried again: a run begins."""
    _failed.clear()


def build(factories: Mapping[str, Callable[..., Any]], name: str, options: Mapping[str, Any]) -> Any:
    """Return `factories[name](**options)`; raise ModelLoadError, from then on without trying again."""
    if name in _failed:
        raise ModelLoadError(_failed[name])
    try:
        return prompts.watch(factories[name](**options))
    except Exception as error:
        _failed[name] = f"{name} could not be loaded: {causes.one_line(error)}"
        raise ModelLoadError(_failed[name]) from error
