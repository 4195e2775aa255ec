"""What the vision tower sees in an image, computed once for each distinct image and kept before the projector.

A projector belongs to one model, a tower may be the same in two: LLaVA-1.5-7B and -13B in one process share these
features. Equal towers are recognised by their weights, not by their name. A cache on the disk, where one is asked for,
lies between the memory and the tower.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Hashable, Sequence
from typing import Any

import torch

from vldock.image.answering.types import HELD, READ
from vldock.image.engines import memory as engine_memory
from vldock.image.engines.byte_lru import ByteStore
from vldock.image.engines.disk_features import DiskFeatures
from vldock.image.features import for_evaluation


class FeatureStore(ByteStore[torch.Tensor]):
    """{(image, tower): features [patches, width] of the model's dtype on its device}; counts what it computed."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.computed = 0


@functools.cache
def shared() -> FeatureStore:
    """Return the store of this process."""
    return FeatureStore(engine_memory.feature_bytes())


class VisionEncoder:
    """A model's vision tower with a store before it, and with `kept` the disk between."""

    def __init__(self, model: Any, processor: Any, store: FeatureStore, kept: DiskFeatures | None = None) -> None:
        self._tower = model.get_vision_tower()
        self._device, self._dtype = model.device, model.dtype
        self._identity = (
            for_evaluation.of_memory(self._tower), preprocessing(processor), str(self._dtype), str(self._device),
            kept.space if kept else None,
        )  # fmt: skip
        self.store, self.kept = store, kept

    def key(self, image: str) -> Hashable:
        """Return the key of the image with this sha256."""
        return (image, *self._identity)

    def knows(self, image: str) -> bool:
        """Tell whether an image's features are held, in memory or on the disk."""
        return self.key(image) in self.store or (self.kept is not None and image in self.kept)

    def recall(self, image: str) -> tuple[torch.Tensor, str] | None:
        """Return an image's features [patches, width] and where they were, HELD or READ; None: look at it."""
        held = self.store.get(self.key(image))
        if held is not None:
            return held, HELD
        read = self.kept.get(image) if self.kept else None
        if read is None:
            return None
        found = read.to(self._device)
        self._hold(image, found)
        return found, READ

    def look(self, images: Sequence[str], pixels: Sequence[torch.Tensor], *, dataset: str = "") -> list[torch.Tensor]:
        """Return features [patches, width] of images [3, height, width], and keep them.

        All in one batch; each alone where they go to the disk, so that what lies there does not depend on the batch.
        """
        batch = torch.stack(list(pixels)).to(self._device, dtype=self._dtype)
        if self.kept:
            found = for_evaluation.encode(self._tower, batch)
        else:
            # a row of its own each, so that forgetting one image frees its memory
            with torch.inference_mode(), for_evaluation.only_what_is_read(self._tower):
                found = [row.clone() for row in self._tower(batch)]
        self.store.computed += len(found)
        for image, features in zip(images, found, strict=True):
            self._hold(image, features)
            if self.kept:
                self.kept.put(image, features, dataset=dataset)
        return found

    def close(self) -> None:
        """Write what waits to be written to the disk; it may be used again."""
        if self.kept:
            self.kept.settle()

    def _hold(self, image: str, features: torch.Tensor) -> None:
        self.store.put(self.key(image), features, features.numel() * features.element_size())


def preprocessing(processor: Any) -> str:
    """Return a hash of everything that decides how an image is resized, cropped and normalised."""
    return hashlib.sha256(processor.to_json_string().encode()).hexdigest()[:16]
