"""Memory of models on a CPU, where weights are float32: too little is a refusal before a start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from vldock.common import hub_cache_layout
from vldock.common.matrix import MODELS, Model


def float32_bytes(model: Model, hub: Path | None) -> float:
    """Return the size of a model's weights in float32.

    Twice that of the half-precision ones in the hub cache, or of the declared ones where these are fewer or none is
    there.
    """
    declared = model.gigabytes * 1e9
    here = hub_cache_layout.size_of(hub_cache_layout.folder(hub, model.repo)) if hub else 0
    return 2 * min(here or declared, declared)


def why_too_small(names: Iterable[str], memory: int, hub: Path | None) -> str | None:
    """Return which of these models (or repositories) `memory` bytes cannot hold, and why; or None."""
    for model in _named(names):
        if (size := float32_bytes(model, hub)) > memory:
            have = f"there are {memory / 1e9:.0f} GB of memory"
            return f"{model.name} cannot run on a CPU here: its weights are {size / 1e9:.0f} GB in float32, {have}"
    return None


def describe_shortages(names: Iterable[str], memory: int, hub: Path | None) -> Iterator[str]:
    """Yield a line for each model whose largest prompt may not fit into `memory` bytes beside its weights."""
    for model in _named(names):
        needed = float32_bytes(model, hub) / 1e9 + model.working
        if needed * 1e9 > memory:
            yield f"warning: {model.name} needs up to {needed:.0f} GB of memory on a CPU, there are {memory / 1e9:.0f}"


def _named(names: Iterable[str]) -> list[Model]:
    named = set(names)
    return [model for model in MODELS if named & {model.name, model.repo}]
