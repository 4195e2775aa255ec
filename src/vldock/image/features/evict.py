"""Keep a cache below its limit: the least recently used shards go first, and none that a reader holds.

When a shard was last used is its modification time, which readers set; when it was written stands in its header.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vldock.image.features import file_locks, shards
from vldock.image.features.space import Space

LOCK = ".lock"
FRESH = 60.0  # seconds within which a use need not be noted again


@dataclass(frozen=True)
class StoredShard:
    """A shard on the disk: bytes, and when it was last used (seconds since 1970)."""

    path: Path
    size: int
    used: float


@dataclass(frozen=True)
class EvictionPlan:
    """What to remove so that `needed` more bytes stay within `limit`; `total` is what is there now."""

    total: int
    limit: int
    needed: int
    candidates: tuple[StoredShard, ...]

    @property
    def excess(self) -> int:
        """Bytes that must go."""
        return max(0, self.total + self.needed - self.limit)


def list_shards(root: Path, space: Space | None = None) -> list[StoredShard]:
    """Return the shards, the least recently used first."""
    found = []
    for path in shards.find_shards(root, space):
        with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
            state = path.stat()
            found.append(StoredShard(path, state.st_size, state.st_mtime))
    return sorted(found, key=lambda one: (one.used, one.path))


def plan(root: Path, *, limit: int, needed: int = 0) -> EvictionPlan:
    """Return what would have to go; nothing is removed."""
    there = list_shards(root)
    return EvictionPlan(sum(one.size for one in there), limit, needed, tuple(there))


def execute(planned: EvictionPlan) -> list[StoredShard]:
    """Remove as many as needed, the least recently used first, and return them; what is held stays."""
    gone: list[StoredShard] = []
    left = planned.excess
    for one in planned.candidates:
        if left <= 0:
            break
        if remove(one.path):
            gone.append(one)
            left -= one.size
    return gone


def remove(path: Path) -> bool:
    """Remove a shard or an unfinished file that nobody holds; tell whether it is gone by our hand."""
    lease = file_locks.lock_exclusively(path)
    if lease is None:
        return False
    with lease:
        path.unlink()
    for place in (path.parent, path.parent.parent):
        with contextlib.suppress(OSError):  # not empty: other shards are there
            place.rmdir()
    return True


def sweep(root: Path) -> list[Path]:
    """Remove what dead writers left unfinished; return the paths."""
    return [path for path in shards.find_unfinished(root) if remove(path)]


def touch(paths: Iterable[Path]) -> None:
    """Note that shards are used now. In a cache that may only be read nothing is noted, nor removed."""
    now = time.time()
    for path in paths:
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > FRESH:
                os.utime(path)
