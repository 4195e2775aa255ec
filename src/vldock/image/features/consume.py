"""Features for whoever trains or evaluates: from the cache, and computed where it has none.

`CachedPictures` feeds a DataLoader; `features_of` serves the caller of a frozen tower; `EngineStore` puts the disk
behind the batched engine, which shares a tower between 7B and 13B.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset

from vldock.common.errors import InputRefused
from vldock.image.features.build import encode
from vldock.image.features.cache import FeatureCache
from vldock.image.features.models import Processor, VisionModel
from vldock.image.features.rows import ImageRow, decode, sha256_of
from vldock.image.features.space import Entry, Space


@dataclass(frozen=True)
class Sample:
    """A row's place in its data set, and its features in the stored dtype."""

    vlm_idx: int
    features: torch.Tensor


class CachedPictures(Dataset[Sample]):
    """Rows as their features. A row that is not cached is computed by `compute`, or refused where that is None.

    The picture's bytes are read and hashed each time, never decoded: a file that changed is another picture.
    """

    def __init__(
        self, rows: Sequence[ImageRow], cache: FeatureCache, compute: Callable[[bytes], torch.Tensor] | None = None
    ) -> None:
        self.rows, self.cache, self.compute = rows, cache, compute

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        row = self.rows[index]
        content = row.path.read_bytes()
        found = self.cache.get(self.cache.space.key(sha256_of(content), row.prompt))
        if found is None and self.compute is None:
            raise InputRefused(
                f"{row.dataset} row {row.vlm_idx} ({row.path.name}) is not in {self.cache.root}",
                expected="features of this tower, preprocessing, layer and dtype",
                hint="python -m vldock.image features build, with the same --model and --dtype",
            )
        if found is None and self.compute is not None:
            found = self.compute(content).to(getattr(torch, self.cache.space.dtype)).cpu()
        assert found is not None
        return Sample(row.vlm_idx, found)


def collate(samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (vlm_idx (B,), features (B, tokens, width)) of pictures with equally many tokens."""
    return torch.tensor([one.vlm_idx for one in samples]), torch.stack([one.features for one in samples])


def computing(vl_model: VisionModel, processor: Processor) -> Callable[[bytes], torch.Tensor]:
    """Return the function that computes one picture's features from its bytes."""
    return lambda content: encode([processor(decode(content))], vl_model)[0]


def features_of(
    images: Sequence[tuple[Entry, Callable[[], torch.Tensor]]], *, cache: FeatureCache, vl_model: VisionModel
) -> list[torch.Tensor]:
    """Return the features of pictures, in order, in the stored dtype on the CPU; what is missing is computed and put.

    `images` pairs an entry with the function that makes its pixels, called on a miss only: a caller with a frozen tower
    hands over its batch and need not know what is cached.
    """
    keys = [cache.space.key(entry.image, entry.prompt) for entry, _ in images]
    found = {key: cache.get(key) for key in dict.fromkeys(keys)}
    missing = {key: one for key, one in zip(keys, images, strict=True) if found[key] is None}
    fresh = encode([pixels() for _, pixels in missing.values()], vl_model)
    for (key, (entry, _)), features in zip(missing.items(), fresh, strict=True):
        cache.put(entry, features)
        found[key] = features.detach().to(device="cpu", dtype=getattr(torch, cache.space.dtype))
    return [tensor for key in keys if (tensor := found[key]) is not None]


EngineKey = tuple[str, str, str, str, str]


class EngineStore:
    """The store the batched engine keeps in memory, with the disk behind: get, put and `in`, by the engine's own keys.

    A key is (sha256 of the image, tower, preprocessing, dtype, device); the tower's part names its layer too. Values
    are kept in the dtype the model computes in: half of it would move scores. `dataset` names the shards.
    """

    def __init__(self, root: Path, *, dataset: str, limit: int | None = None) -> None:
        self.root, self.dataset, self.limit = root, dataset, limit
        self._caches: dict[tuple[str, ...], FeatureCache] = {}
        self._count = 0

    def get(self, key: EngineKey) -> torch.Tensor | None:
        """Return the features, on the key's device; None where they are not held."""
        cache = self._cache(key)
        found = cache.get(cache.space.key(key[0]))
        return None if found is None else found.to(key[4])

    def put(self, key: EngineKey, value: torch.Tensor, size: int = 0) -> None:
        """Keep features; written when a shard is full, or by `close`. `size` is what a store in memory would need."""
        self._cache(key).put(Entry(self.dataset, self._count, key[0]), value)
        self._count += 1

    def __contains__(self, key: EngineKey) -> bool:
        cache = self._cache(key)
        return cache.space.key(key[0]) in cache

    def close(self) -> None:
        """Write what waits."""
        for cache in self._caches.values():
            cache.close()

    def _cache(self, key: EngineKey) -> FeatureCache:
        _, tower, preprocessing, dtype, device = key
        parts = (tower, preprocessing, dtype, device)
        if parts not in self._caches:
            computed = f"{dtype} on {device}, torch {torch.__version__}"
            space = Space(tower, preprocessing, "named by the tower", computed, dtype.removeprefix("torch."))
            self._caches[parts] = FeatureCache(self.root, space, limit=self.limit)
        return self._caches[parts]
