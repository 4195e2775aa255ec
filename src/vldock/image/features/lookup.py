"""Lookup of features, computed where the cache has none.

`CachedPictures` feeds a DataLoader; `features_of` serves the caller of a frozen tower. The batched engine has its own
interface, engines/disk_features.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from torch.utils.data import Dataset

from vldock.common.errors import InputRefused, VldockError
from vldock.image.features import shards
from vldock.image.features.build import encode
from vldock.image.features.cache import FeatureCache
from vldock.image.features.picture_rows import ImageRow, decode, sha256_of
from vldock.image.features.processor import Processor
from vldock.image.features.space import Entry
from vldock.image.features.towers import VisionModel

FAULTS = (OSError, SafetensorError, VldockError)  # of a cache; a consumer computes instead


@dataclass(frozen=True)
class Sample:
    """Features of one row of a data set.

    The row's position, and its features in the stored dtype.
    """

    vlm_idx: int
    features: torch.Tensor


class CachedPictures(Dataset[Sample]):  # type: ignore[misc]
    """Dataset of rows' features.

    A row that is not cached is computed by `compute`, or refused where that is None.

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


def index_rows(cache: FeatureCache) -> dict[tuple[str | None, str, int], str]:
    """Return the keys of stored rows by (prompt, data set, vlm_idx).

    An image that stands twice in a data set is stored once, under its first row.
    """
    found: dict[tuple[str | None, str, int], str] = {}
    for shard in shards.read_headers(cache.root, cache.space):
        if shard.space == cache.space:
            found |= {(shard.prompt, shard.dataset, row.vlm_idx): row.key for row in shard.rows}
    return found


def collate(samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (vlm_idx (B,), features (B, tokens, width)) of pictures.

    All pictures have equally many tokens.
    """
    return torch.tensor([one.vlm_idx for one in samples]), torch.stack([one.features for one in samples])


def compute_function(vl_model: VisionModel, processor: Processor) -> Callable[[bytes], torch.Tensor]:
    """Return the function that computes one picture's features from its bytes."""
    return lambda content: encode([processor(decode(content))], vl_model)[0]


def features_of(
    images: Sequence[tuple[Entry, Callable[[], torch.Tensor]]], *, cache: FeatureCache, vl_model: VisionModel
) -> list[torch.Tensor]:
    """Return features in order; missing ones are computed and stored.

    They are on the CPU in the stored dtype.

    `images` pairs an entry with the function that makes its pixels, called on a miss only: a caller with a frozen tower
    passes its batch without knowing which are cached.
    """
    keys = [cache.space.key(entry.image, entry.prompt) for entry, _ in images]
    found = {key: cache.get(key) for key in dict.fromkeys(keys)}
    missing = {key: one for key, one in zip(keys, images, strict=True) if found[key] is None}
    fresh = encode([pixels() for _, pixels in missing.values()], vl_model)
    for (key, (entry, _)), features in zip(missing.items(), fresh, strict=True):
        cache.put(entry, features)
        found[key] = features.detach().to(device="cpu", dtype=getattr(torch, cache.space.dtype))
    return [tensor for key in keys if (tensor := found[key]) is not None]
