"""VLMEvalKit's own loop with a tower that remembers: the same pixels are not looked at twice.

What a tower returned for a tensor is returned again for an equal one, so answers are those of the plain loop bit for
bit. A benchmark that asks several questions about an image, and a second model with the same tower, gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from vldock.image.engines.memory_features import FeatureStore, shared
from vldock.image.features import for_evaluation, shards


def tower_of(wrapper: Any) -> Any | None:
    """Return the loaded vision tower of a LLaVA wrapper of VLMEvalKit's, None for any other model."""
    find = getattr(getattr(wrapper, "model", None), "get_vision_tower", None)
    tower = find() if callable(find) else None
    return tower if getattr(tower, "is_loaded", False) else None


def prepare(wrapper: Any) -> None:
    """Hash the weights of the wrapper's tower now (half a second a gigabyte), not at the first question."""
    if (tower := tower_of(wrapper)) is not None:
        for_evaluation.of_memory(tower)


@contextmanager
def _remembering(tower: Any, store: FeatureStore) -> Iterator[None]:
    forward: Callable[[Any], Any] = tower.forward
    place = (for_evaluation.of_memory(tower), str(tower.dtype), str(tower.device))

    def remembered(images: Any) -> Any:
        """Return the features [n, patches, width] of images [n, 3, height, width]; a list of images is computed."""
        if not isinstance(images, torch.Tensor):
            return forward(images)
        key = (*place, digest(images))
        found = store.get(key)
        if found is None:
            with for_evaluation.only_what_is_read(tower):
                found = forward(images)
            store.computed += 1
            store.put(key, found, found.numel() * found.element_size())
        return found

    tower.forward = remembered
    try:
        yield
    finally:
        del tower.forward


def memoized(wrapper: Any) -> Any:
    """Return a context in which the wrapper's tower remembers; nothing changes for a model without such a tower."""
    tower = tower_of(wrapper)
    return nullcontext() if tower is None else _remembering(tower, shared())


def digest(tensor: torch.Tensor) -> str:
    """Return dtype, shape and the sha256 of the values of a tensor."""
    return f"{tensor.dtype} {tuple(tensor.shape)} {shards.digest(tensor.detach().cpu())}"
