"""The batched engine's feature cache on disk.

Read before the tower runs, written after.
A fault of the cache costs recomputation and is printed once, in one line; it never ends an evaluation.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vldock.common import inference_options
from vldock.common.errors import InputRefused
from vldock.image.features import for_evaluation
from vldock.image.features.cache import FeatureCache, default_root
from vldock.image.features.lookup import FAULTS
from vldock.image.features.space import DTYPES, Entry, Space


class DiskFeatures:
    """Features of one space on the disk, by the image's sha256.

    Thread-safe within one process.
    """

    def __init__(self, root: Path, space: Space, *, limit: int | None = None) -> None:
        self.root, self.space = root, space
        self._cache: FeatureCache | None = None
        self._writes = True
        self._count = 0
        self._lock = threading.Lock()
        try:
            self._cache = FeatureCache(root, space, limit=limit)
        except FAULTS as error:
            self._report("not used", error)

    def __contains__(self, image: str) -> bool:
        with self._lock:
            return self._cache is not None and self.space.key(image) in self._cache

    def get(self, image: str) -> torch.Tensor | None:
        """Return the cached features of an image.

        Shape [patches, width], on the CPU, as computed; None where they are absent.
        """
        with self._lock:
            if self._cache is None:
                return None
            try:
                return self._cache.get(self.space.key(image))
            except FAULTS as error:
                self._cache = None
                self._report("no more used", error)
                return None

    def put(self, image: str, features: torch.Tensor, *, dataset: str) -> None:
        """Store the features of an image of `dataset`.

        They are written with the next full shard, or by `flush`.
        """
        with self._lock:
            if self._cache is None or not self._writes:
                return
            try:
                self._cache.put(Entry(dataset, self._count, image), features)
                self._count += 1
            except InputRefused as error:  # features that are not finite: this image is computed each time
                self._report("left out", error)
            except FAULTS as error:
                self._stop_writing(error)
            self._stop_at_limit()

    def flush(self) -> None:
        """Write buffered features and release the shards read.

        Other processes may then evict those shards.
        """
        with self._lock:
            if self._cache is None:
                return
            try:
                self._cache.close()
            except FAULTS as error:
                self._stop_writing(error)
            self._stop_at_limit()

    def _stop_at_limit(self) -> None:
        if self._writes and self._cache is not None and self._cache.counts.refused:
            self._stop_writing(f"no room below the limit of {(self._cache.limit or 0) / 1e9:g} GB")

    def _stop_writing(self, why: object) -> None:
        if self._writes:
            self._report("read but no more written", why)
        self._writes = False

    def _report(self, what: str, why: object) -> None:
        print(f"feature cache {self.root}: {what}: {getattr(why, 'message', why)}", flush=True)


def open_for(wrapper: Any, env: Mapping[str, str] = os.environ) -> DiskFeatures | None:
    """Return the feature cache for the tower of a LLaVA wrapper.

    None where `env` requests none.
    Prints one line, and returns None, where it is requested and cannot be used. Models with the same tower share it.
    """
    if not inference_options.read_engine(env).feature_cache:
        return None
    model, root = wrapper.model, default_root(env)
    if for_evaluation.name_of(model.dtype) not in DTYPES:
        print(f"feature cache {root}: not used: it holds no {for_evaluation.name_of(model.dtype)}", flush=True)
        return None
    tower = model.get_vision_tower()
    known: Space | None = getattr(tower, "_vldock_space", None)
    try:
        limit = inference_options.read_cache_limit(env)
        space = known or for_evaluation.space_of(tower, wrapper.image_processor, dtype=model.dtype, device=model.device)
    except (*FAULTS, RuntimeError, ValueError) as error:  # of loading the tower's files, to compare them
        print(f"feature cache {root}: not used: {getattr(error, 'message', error)}", flush=True)
        return None
    tower._vldock_space = space
    return _opened(root, space, limit)


@functools.cache
def _opened(root: Path, space: Space, limit: int | None) -> DiskFeatures:
    return DiskFeatures(root, space, limit=limit)
