"""Frozen tower with cached features: each picture is computed once.

A picture's row holds all its tiles in their order, under the key that `features build` gives it: the space names
grid, preprocessing, tower, layer and dtype. A failure of the cache is reported once and the features are computed: it
never ends a training or changes a weight.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vldock.image.features import evict
from vldock.image.features.build import encode
from vldock.image.features.cache import ROWS, FeatureCache, default_root
from vldock.image.features.lookup import FAULTS
from vldock.image.features.space import Entry
from vldock.image.features.towers import space_of
from vldock.image.training.config import Config
from vldock.image.training.data import images as training_images
from vldock.image.training.data.records import Record
from vldock.image.training.model import frozen_tower
from vldock.image.training.model.base import base_path
from vldock.image.training.model.checkpoint import bytes_needed
from vldock.image.training.model.load import Loaded

SHARD = 64_000_000  # bytes of a shard: pending in memory, lost by a kill
SPARE = 1_000_000_000  # bytes of the disk left free, with those of the checkpoints


@dataclass
class Counts:
    """Pictures of this process: read from the cache, or computed."""

    read: int = 0
    computed: int = 0


class CachedTower:
    """Cached features of a model's pictures; made by `open_cached_tower`.

    `reserve` bytes of the disk remain free.
    """

    def __init__(
        self, tower: frozen_tower.TrainingTower, processor: frozen_tower.TrainingProcessor, cache: FeatureCache,
        *, dataset: str, reserve: int, emit: Callable[..., None],
    ) -> None:  # fmt: skip
        self.tower, self.processor, self.cache = tower, processor, cache
        self.dataset, self.reserve, self.emit = dataset, reserve, emit
        self.counts, self.storing, self._reported = Counts(), True, set[str]()
        frozen_tower.pass_features_through(tower.vision)

    def images(self, record: Record) -> tuple[tuple[torch.Tensor, ...], tuple[tuple[int, int], ...]]:
        """Return each picture's features (tiles, 1, tokens, width) and size (w, h).

        A record without pictures gets zeros, which no token refers to.
        """
        if not record.pictures:
            vision = self.tower.vision
            tokens, side = vision.num_patches + (self.tower.select_feature == "cls_patch"), vision.config.image_size
            return (torch.zeros(1, tokens, vision.hidden_size),), ((side, side),)
        made = [self._image(picture.read(), record.row) for picture in record.pictures]
        return tuple(features for features, _ in made), tuple(size for _, size in made)

    def flush(self) -> None:
        """Write pending features."""
        self._try("write", self.cache.flush)

    def close(self) -> None:
        """Write pending features and release every lock."""
        self._try("write", self.cache.close)

    def totals(self) -> dict[str, int]:
        """Return pictures read, computed and stored, and damaged rows, of this process."""
        return {"read": self.counts.read, "computed": self.counts.computed, "stored": self.cache.counts.written,
                "damaged": self.cache.counts.damaged}  # fmt: skip

    def _image(self, content: bytes, row: int) -> tuple[torch.Tensor, tuple[int, int]]:
        entry = Entry(self.dataset, row, hashlib.sha256(content).hexdigest())
        found = self._try("read", lambda: self.cache.get(self.cache.space.key(entry.image)))
        self.counts.read += found is not None
        self.counts.computed += found is None
        if found is not None:
            return found.unsqueeze(-3), training_images.size_of(content, accept=self.processor.accept)
        image = training_images.decode(content, accept=self.processor.accept)
        made = encode([self.processor(image)], self.tower)[0].cpu()
        self.cache.rows = max(1, min(ROWS, SHARD // made.nbytes))
        if self.storing and self._room():
            self._try("write", lambda: self.cache.put(entry, made))
        return made.unsqueeze(-3), image.size

    def _room(self) -> bool:
        """Return whether the disk has room for a shard; False remains False."""
        free = self._try("write", lambda: shutil.disk_usage(_there(self.cache.root)).free)
        if free is not None and free < self.reserve + SHARD:
            self.storing = False
            self._report(
                f"{free / 1e9:.2f} GB free, {self.reserve / 1e9:.2f} GB are kept for checkpoints; computed instead"
            )
        return self.storing

    def _try(self, action: str, act: Callable[[], Any]) -> Any:
        """Return the result of `act`; None where the cache fails.

        The first failure is reported; after a failed write nothing more is stored.
        """
        try:
            return act()
        except FAULTS as error:
            self.storing &= action != "write"
            self._report(f"cannot {action}: {error}; computed instead")
            return None

    def _report(self, trouble: str) -> None:
        kind = trouble.partition(":")[0]
        if kind not in self._reported:
            self._reported.add(kind)
            self.emit("features", trouble=trouble)


@contextlib.contextmanager
def open_cached_tower(loaded: Loaded, config: Config, *, emit: Callable[..., None]) -> Iterator[CachedTower | None]:
    """Yield the cached tower of a model in training.

    None without a cache.
    A cache that was asked for and cannot be used is reported once.
    """
    made = None
    try:
        made = _open(loaded, config, emit) if config.model.feature_cache else None
    except FAULTS as error:
        emit("features", trouble=f"no cache: {error}; every picture is computed")
    try:
        yield made
    finally:
        if made is not None:
            made.close()


def _open(loaded: Loaded, config: Config, emit: Callable[..., None]) -> CachedTower:
    tower = frozen_tower.tower_of(loaded, str(base_path(config)))
    processor = frozen_tower.TrainingProcessor(loaded.processor, loaded.inner.config, accept=tuple(config.data.accept))
    root = default_root()
    with contextlib.suppress(OSError):  # in a cache that may only be read nothing is swept
        evict.sweep(root)
    cache = FeatureCache(root, space_of(tower, processor, frozen_tower.STORED))
    emit("features", folder=str(root), space=cache.space.short)
    name = config.data.name if config.data.source == "hub" else Path(config.data.path).stem
    reserve = SPARE + bytes_needed(loaded) if _same_disk(root, Path(config.out)) else SPARE
    return CachedTower(tower, processor, cache, dataset=name, reserve=reserve, emit=emit)


def _there(path: Path) -> Path:
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.is_dir())


def _same_disk(one: Path, other: Path) -> bool:
    return _there(one).stat().st_dev == _there(other).stat().st_dev
