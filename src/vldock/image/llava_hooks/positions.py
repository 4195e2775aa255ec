"""Number of prompt positions each image takes.

The tower's patches; with anyres also tiles and newlines, less the padding.

Source: prepare_inputs_labels_for_multimodal of llava/model/llava_arch.py (LLaVA 1.2.2), which cuts by these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_llava(inner: Any) -> bool:
    """Return whether a model has LLaVA's interface."""
    return hasattr(inner, "get_vision_tower")


def count_patches(inner: Any) -> int:
    """Return the number of positions of a one-tile image.

    1 if the model has no tower.
    """
    tower = inner.get_vision_tower() if is_llava(inner) else None
    return int(getattr(tower, "num_patches", 1) or 1)


def count_per_image(inner: Any, images: Any, sizes: Sequence[tuple[int, int]] | None) -> list[int]:
    """Return the positions of each image in a LLaVA's input.

    images: (n, 3, side, side), a list of (3, side, side) and (tiles, 3, side, side), or None; sizes: (width, height).
    [] for any other model, whose images may be of any form.
    """
    if images is None or not is_llava(inner):
        return []
    grid = count_patches(inner)
    if not isinstance(images, list) and images.ndim != 5:
        return [grid] * len(images)
    tiles = [1 if image.ndim == 3 else int(image.shape[0]) for image in images]
    merge = str(getattr(inner.config, "mm_patch_merge_type", "flat"))
    if merge == "flat":
        return [count * grid for count in tiles]
    newline = int("unpad" in merge)
    if max(tiles, default=1) > 1 and (not newline or sizes is None):
        return [count * grid for count in tiles]
    return [
        grid + (_tiled(inner, tuple((sizes or ())[at])) if count > 1 else newline) for at, count in enumerate(tiles)
    ]


def count_in_prompt(tokens: Sequence[int], images: Sequence[int], *, token: int) -> int:
    """Return a prompt's length with its image tokens expanded.

    Each `token` is expanded to its number of positions in `images`.
    """
    return len(tokens) + sum(count - 1 for count in images[: list(tokens).count(token)])


def _tiled(inner: Any, size: tuple[int, ...]) -> int:
    """Return the number of positions of an image's unpadded tiles.

    It includes a newline after each row.
    """
    import torch  # here: readers of notes need no torch
    from llava.mm_utils import get_anyres_image_grid_shape
    from llava.model.llava_arch import unpad_image

    tower = inner.get_vision_tower()
    side = tower.num_patches_per_side
    wide, high = get_anyres_image_grid_shape(size, inner.config.image_grid_pinpoints, tower.config.image_size)
    _, height, width = unpad_image(torch.empty(0, high * side, wide * side), size).shape
    return int(height * (width + 1))
