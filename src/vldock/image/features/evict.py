"""Eviction of least recently used shards.

A shard in use is never removed.
A shard's modification time is that of its last use, set by readers; its header has the time of writing.
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
    """Shard on the disk: bytes, and last use in seconds since 1970."""

    path: Path
    size: int
    used: float


@dataclass(frozen=True)
class EvictionPlan:
    """Shards to remove so that `needed` more bytes stay within `limit`.

    `total` is the size now.
    """

    total: int
    limit: int
    needed: int
    candidates: tuple[StoredShard, ...]

    @property
    def excess(self) -> int:
        """Bytes to remove."""
        return max(0, self.total + self.needed - self.limit)


def list_shards(root: Path, space: Space | None = None) -> list[StoredShard]:
    """Return the shards, least recently used first."""
    found = []
    for path in shards.find_shards(root, space):
        with contextlib.suppress(FileNotFoundError):  # evicted since the listing
            state = path.stat()
            found.append(StoredShard(path, state.st_size, state.st_mtime))
    return sorted(found, key=lambda one: (one.used, one.path))


def plan(root: Path, *, limit: int, needed: int = 0) -> EvictionPlan:
    """Return the eviction plan; nothing is removed."""
    there = list_shards(root)
    return EvictionPlan(sum(one.size for one in there), limit, needed, tuple(there))


def execute(planned: EvictionPlan) -> list[StoredShard]:
    """Remove as many shards as needed, least recently used first; return them.

    A shard in use is not removed.
    """
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
    """Remove a shard or unfinished file unless it is in use.

    Returns whether it was removed.
    """
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
    """Remove unfinished files of dead writers; return their paths."""
    return [path for path in shards.find_unfinished(root) if remove(path)]


def touch(paths: Iterable[Path]) -> None:
    """Mark shards as used now.

    In a read-only cache nothing is marked.
    """
    now = time.time()
    for path in paths:
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime > FRESH:
                os.utime(path)
