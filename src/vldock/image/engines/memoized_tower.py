"""Memoized vision tower for VLMEvalKit's own loop: equal pixels are encoded once.

The output for a tensor is returned again for an equal one, so answers are bit-identical to the plain loop's. Benchmarks
with several questions on an image, and a second model with the same tower, run faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from vldock.image.engines.memory_features import FeatureStore, shared_store
from vldock.image.features import for_evaluation, shards


def tower_of(wrapper: Any) -> Any | None:
    """Return the loaded vision tower of a LLaVA wrapper of VLMEvalKit's.

    None for any other model.
    """
    find = getattr(getattr(wrapper, "model", None), "get_vision_tower", None)
    tower = find() if callable(find) else None
    return tower if getattr(tower, "is_loaded", False) else None


def prepare(wrapper: Any) -> None:
    """Hash the weights of the wrapper's tower in advance.

    0.5 s per GB, which the first question would otherwise take.
    """
    if (tower := tower_of(wrapper)) is not None:
        for_evaluation.digest_in_memory(tower)


@contextmanager
def _memoize(tower: Any, store: FeatureStore) -> Iterator[None]:
    forward: Callable[[Any], Any] = tower.forward
    place = (for_evaluation.digest_in_memory(tower), str(tower.dtype), str(tower.device))

    def memoized_forward(images: Any) -> Any:
        """Return the features [n, patches, width] of images [n, 3, height, width].

        A list of images is not memoized.
        """
        if not isinstance(images, torch.Tensor):
            return forward(images)
        key = (*place, digest(images))
        found = store.get(key)
        if found is None:
            with for_evaluation.skip_unread_layers(tower):
                found = forward(images)
            store.computed += 1
            store.put(key, found, found.numel() * found.element_size())
        return found

    tower.forward = memoized_forward
    try:
        yield
    finally:
        del tower.forward


def memoized(wrapper: Any) -> Any:
    """Return a context manager that memoizes the wrapper's tower.

    It does nothing for a model without a tower.
    """
    tower = tower_of(wrapper)
    return nullcontext() if tower is None else _memoize(tower, shared_store())


def digest(tensor: torch.Tensor) -> str:
    """Return dtype, shape and the sha256 of the values of a tensor."""
    return f"{tensor.dtype} {tuple(tensor.shape)} {shards.digest(tensor.detach().cpu())}"
