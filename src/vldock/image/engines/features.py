"""What the vision tower sees in an image, computed once for each distinct image and kept before the projector.

A projector belongs to one model, a tower may be the same in two: LLaVA-1.5-7B and -13B in one process share these
features. Equal towers are recognised by their weights, not by their name.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Hashable, Sequence
from typing import Any

import torch

from vldock.image.engines import sizing
from vldock.image.engines.store import ByteStore

OF_NO_WEIGHT = ("_name_or_path", "transformers_version", "torch_dtype")  # of a config


class FeatureStore(ByteStore[torch.Tensor]):
    """{(image, tower): features [patches, width] of the model's dtype on its device}; counts what it computed."""

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self.computed = 0


@functools.cache
def shared() -> FeatureStore:
    """Return the store of this process."""
    return FeatureStore(sizing.feature_bytes())


class Eye:
    """A model's vision tower with a store before it."""

    def __init__(self, model: Any, processor: Any, store: FeatureStore) -> None:
        self._tower = model.get_vision_tower()
        self._device, self._dtype = model.device, model.dtype
        self._identity = (tower_identity(self._tower), preprocessing(processor), str(self._dtype), str(self._device))
        self.store = store

    def key(self, image: str) -> Hashable:
        """Return the key of the image with this sha256."""
        return (image, *self._identity)

    def knows(self, image: str) -> bool:
        """Tell whether an image's features are held."""
        return self.key(image) in self.store

    def look(self, images: Sequence[str], pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return features [patches, width] of images [3, height, width], all in one batch, and keep them."""
        batch = torch.stack(list(pixels)).to(self._device, dtype=self._dtype)
        # a row of its own each, so that forgetting one image frees its memory
        with torch.inference_mode():
            found = [row.clone() for row in self._tower(batch)]
        self.store.computed += len(found)
        for image, features in zip(images, found, strict=True):
            self.store.put(self.key(image), features, features.numel() * features.element_size())
        return found


def preprocessing(processor: Any) -> str:
    """Return a hash of everything that decides how an image is resized, cropped and normalised."""
    return hashlib.sha256(processor.to_json_string().encode()).hexdigest()[:16]


def tower_identity(tower: Any) -> str:
    """Return a hash of a vision tower: its weights byte for byte, and which of its layers are read."""
    known: str | None = getattr(tower, "_vldock_identity", None)
    if known is None:
        config = {name: value for name, value in tower.config.to_dict().items() if name not in OF_NO_WEIGHT}
        shape = [tower.select_layer, tower.select_feature, config]
        digest = hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode())
        for name, values in sorted(tower.vision_tower.state_dict().items()):
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(values.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        known = tower._vldock_identity = digest.hexdigest()[:16]
    return known
