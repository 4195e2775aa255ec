"""Feature cache: tensors by key, for concurrent readers and writers.

with FeatureCache(root, space) as cache:
    key = space.key(image_sha256)
    found = cache.get(key)            # tensor, or None: compute it, then
    cache.put(Entry("flowers", 7, image_sha256), tensor)
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vldock.common.cache_env import CACHE_ENV, FEATURES_VARIABLE
from vldock.common.errors import InputRefused, UsageError
from vldock.common.filesystem import permission_hints, permissions
from vldock.image.features import evict, file_locks, shards
from vldock.image.features.space import DTYPES, Entry, Space

if TYPE_CHECKING:
    import torch

LOG = logging.getLogger("vldock.features")
ROWS = 32  # of a shard: 38 MB of CLIP-L/14-336 in half precision
OPEN = 64  # shards kept open, each with its lease
LOOK_AGAIN = 1.0  # seconds between two scans of the disk for other processes' shards


@dataclass
class Counts:
    """Counts of a cache's work.

    Lookups (hits, misses), rows written, rows others had (known), rows over the limit (refused), rows damaged.
    """

    hits: int = 0
    misses: int = 0
    written: int = 0
    known: int = 0
    refused: int = 0
    damaged: int = 0


def default_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of cached features: $VLDOCK_FEATURES, or its default."""
    return Path(environ.get(FEATURES_VARIABLE) or CACHE_ENV[FEATURES_VARIABLE])


class FeatureCache:
    """Cached features of one space below `root`.

    `limit` bounds the bytes of all spaces together, None: no limit.
    """

    def __init__(
        self, root: Path, space: Space, *, limit: int | None = None, rows: int = ROWS, keep_open: int = OPEN
    ) -> None:
        if space.dtype not in DTYPES:
            raise UsageError(f"features cannot be stored as {space.dtype!r}", expected=", ".join(DTYPES))
        self.root, self.space, self.limit, self.rows, self.keep_open = root, space, limit, rows, keep_open
        self.counts = Counts()
        self._index: dict[str, tuple[Path, str]] = {}
        self._read: set[Path] = set()
        self._sound: set[str] = set()
        self._open: OrderedDict[Path, tuple[file_locks.Lease, Any]] = OrderedDict()
        self._waiting: dict[tuple[str | None, str], dict[str, tuple[Entry, torch.Tensor]]] = {}
        self._looked = 0.0
        self.refresh()

    def get(self, key: str) -> torch.Tensor | None:
        """Return the tensor stored under `key`; None is a miss.

        It is a copy on the CPU in the stored dtype.

        A row with other bytes than were written is a miss, and a warning is logged.
        """
        found = self._pending(key)
        if found is None:
            found = self._load(key)
        if found is None and time.monotonic() - self._looked > LOOK_AGAIN:
            self.refresh()
            found = self._load(key)
        self.counts.misses += found is None
        self.counts.hits += found is not None
        return found

    def __contains__(self, key: object) -> bool:
        return key in self._index or any(key in waiting for waiting in self._waiting.values())

    def put(self, entry: Entry, tensor: torch.Tensor) -> str:
        """Store a tensor, from any device, for its row; return its key.

        It is on the disk after `flush`, or when its shard is full.

        Raises InputRefused for features that are not finite, EnvironmentUnfit where the disk is full or forbidden.
        """
        import torch

        key = self.space.key(entry.image, entry.prompt)
        if key in self:
            self.counts.known += 1
            return key
        kept = tensor.detach().to(device="cpu", dtype=getattr(torch, self.space.dtype), copy=True)
        if not torch.isfinite(kept).all():
            raise InputRefused(
                f"{entry.dataset} row {entry.vlm_idx}: its features are not finite as {self.space.dtype}",
                expected=f"numbers within {torch.finfo(kept.dtype).max:g}",
                hint="store them as float32: --dtype float32",
            )
        group = (entry.prompt, entry.dataset)
        waiting = self._waiting.setdefault(group, {})
        waiting[key] = (entry, kept)
        if len(waiting) >= self.rows:
            self._write(self._waiting.pop(group))
        return key

    def flush(self) -> None:
        """Write all pending rows."""
        while self._waiting:
            _, waiting = self._waiting.popitem()
            self._write(waiting)

    def refresh(self) -> None:
        """Index the shards other processes wrote since the last refresh."""
        self._looked = time.monotonic()
        there = set(shards.find_shards(self.root, self.space))
        for path in there - self._read:
            try:
                shard = shards.read_header(path)
            except FileNotFoundError:
                continue
            except shards.ShardDamaged as error:
                LOG.warning("%s is damaged and not used: %s; features fsck --repair removes it", path, error)
                self._read.add(path)
                continue
            self._read.add(path)
            if shard.space == self.space:
                self._index |= {row.key: (path, row.sha256) for row in shard.rows if row.key not in self._index}
        self._forget(self._read - there)

    def close(self) -> None:
        """Write all pending rows and release every lock."""
        try:
            self.flush()
        finally:
            for lease, _ in self._open.values():
                lease.close()
            self._open.clear()

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close()

    def _pending(self, key: str) -> torch.Tensor | None:
        for waiting in self._waiting.values():
            if key in waiting:
                return waiting[key][1].clone()
        return None

    def _load(self, key: str) -> torch.Tensor | None:
        if key not in self._index:
            return None
        path, sha256 = self._index[key]
        opened = self._opened(path)
        if opened is None:
            self._forget({path})
            return None
        # a copy: mapped bytes may vanish below us on NFS once the lease has ended
        tensor: torch.Tensor = opened.get_tensor(key).clone()
        if key not in self._sound:
            if shards.digest(tensor) != sha256:
                LOG.warning("%s: row %s has other bytes than were written; features fsck --repair", path, key[:12])
                self.counts.damaged += 1
                del self._index[key]
                return None
            self._sound.add(key)
        return tensor

    def _opened(self, path: Path) -> Any:
        """Return the open, locked shard; None where it is gone."""
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path][1]
        lease = file_locks.lock_shared(path)
        if lease is None:
            return None
        from safetensors import safe_open

        evict.touch([path])
        self._open[path] = (lease, safe_open(path, framework="pt"))
        while len(self._open) > self.keep_open:
            _, (oldest, _) = self._open.popitem(last=False)
            oldest.close()
        return self._open[path][1]

    def _forget(self, gone: Iterable[Path]) -> None:
        gone = set(gone)
        if gone:
            self._read -= gone
            self._index = {key: at for key, at in self._index.items() if at[0] not in gone}

    def _write(self, waiting: dict[str, tuple[Entry, torch.Tensor]]) -> None:
        self.refresh()
        new = {key: value for key, value in waiting.items() if key not in self._index}
        self.counts.known += len(waiting) - len(new)
        if not new:
            return
        try:
            self._store(new)
        except OSError as error:
            raise permission_hints.write_error(error, self.root, permissions.whoami()) from error

    def _store(self, new: dict[str, tuple[Entry, torch.Tensor]]) -> None:
        first, _ = next(iter(new.values()))
        content = shards.serialise(self.space, new)
        lease, final = shards.begin(shards.folder(self.root, first), self.space, content)
        with file_locks.hold(self.root / evict.LOCK):
            if self.limit is not None and not self._room(len(content)):
                lease.path.unlink()
                lease.close()
                self.counts.refused += len(new)
                return
            shards.publish(lease, final, root=self.root)
        self.counts.written += len(new)
        self.refresh()

    def _room(self, needed: int) -> bool:
        """Evict shards to make room.

        Returns False, with a warning, where shards are in use.
        """
        assert self.limit is not None
        planned = evict.plan(self.root, limit=self.limit, needed=needed)
        gone = evict.execute(planned) if needed <= self.limit else []
        if planned.excess <= sum(one.size for one in gone):
            return True
        LOG.warning("no room for %d bytes below the limit of %d: what is there is in use", needed, self.limit)
        return False
