"""Vision features in memory, before the projector.

They are computed once for each distinct image.
A projector belongs to one model, a tower may be the same in two: LLaVA-1.5-7B and -13B in one process share these
features. Equal towers are recognised by their weights, not by their name. A feature cache on the disk, where requested,
is read before the tower runs.
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
    """{(image, tower): features [patches, width] of the model's dtype on its device}.

    Counts the features it computed.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.computed = 0


@functools.cache
def shared_store() -> FeatureStore:
    """Return this process's store."""
    return FeatureStore(engine_memory.feature_bytes())


class VisionEncoder:
    """Vision tower behind a feature store in memory.

    With `disk`, also behind a feature cache.
    """

    def __init__(self, model: Any, processor: Any, store: FeatureStore, disk: DiskFeatures | None = None) -> None:
        self._tower = model.get_vision_tower()
        self._device, self._dtype = model.device, model.dtype
        self._identity = (
            for_evaluation.digest_in_memory(self._tower), describe_preprocessing(processor),
            str(self._dtype), str(self._device),
            disk.space if disk else None,
        )  # fmt: skip
        self.store, self.disk = store, disk

    def key(self, image: str) -> Hashable:
        """Return the key of the image with this sha256."""
        return (image, *self._identity)

    def is_cached(self, image: str) -> bool:
        """Return whether an image's features are in memory or on the disk."""
        return self.key(image) in self.store or (self.disk is not None and image in self.disk)

    def find(self, image: str) -> tuple[torch.Tensor, str] | None:
        """Return an image's features [patches, width] and their source.

        The source is HELD or READ; None where the features are absent.
        """
        held = self.store.get(self.key(image))
        if held is not None:
            return held, HELD
        read = self.disk.get(image) if self.disk else None
        if read is None:
            return None
        found = read.to(self._device)
        self._hold(image, found)
        return found, READ

    def encode(self, images: Sequence[str], pixels: Sequence[torch.Tensor], *, dataset: str = "") -> list[torch.Tensor]:
        """Return features [patches, width] of images [3, height, width], and store them.

        All in one batch; one by one where they go to the disk, so that cached features do not depend on the batch.
        """
        batch = torch.stack(list(pixels)).to(self._device, dtype=self._dtype)
        if self.disk:
            found = for_evaluation.encode(self._tower, batch)
        else:
            # a copy each, so that evicting one image frees its memory
            with torch.inference_mode(), for_evaluation.skip_unread_layers(self._tower):
                found = [row.clone() for row in self._tower(batch)]
        self.store.computed += len(found)
        for image, features in zip(images, found, strict=True):
            self._hold(image, features)
            if self.disk:
                self.disk.put(image, features, dataset=dataset)
        return found

    def close(self) -> None:
        """Write buffered features to the disk; it may be used again."""
        if self.disk:
            self.disk.flush()

    def _hold(self, image: str, features: torch.Tensor) -> None:
        self.store.put(self.key(image), features, features.numel() * features.element_size())


def describe_preprocessing(processor: Any) -> str:
    """Return a hash of the image processor's settings: resizing, cropping, normalisation."""
    return hashlib.sha256(processor.to_json_string().encode()).hexdigest()[:16]
