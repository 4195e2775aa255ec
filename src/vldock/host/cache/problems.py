"""Problems of a cache: unfinished downloads, orphaned blobs, dangling links and references."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vldock.common import hub_cache_layout
from vldock.host.cache.items import PARTIAL
from vldock.host.cache.locations import CacheLocations, list_folder, list_repositories, walk

Kind = Literal["partial", "orphan", "torn"]


@dataclass(frozen=True)
class Flaw:
    """One problematic path: kind, size, reason, remedy.

    `lock` is the lock its writer would hold.
    """

    kind: Kind
    path: Path
    size: int
    why: str
    lock: Path | None = None
    in_use: bool = False
    age: float = 0.0
    cure: str = "load it with a network to complete it"


def find(locations: CacheLocations, *, now: float | None = None) -> list[Flaw]:
    """Return every problem; `now` in seconds since 1970."""
    now = time.time() if now is None else now
    flaws = [flaw for root in locations.roots for flaw in _partials(root, locations, now)]
    for hub in locations.hubs:
        for repository in list_repositories(hub):
            flaws += [*_orphans(repository, hub, now), *_torn(repository)]
        flaws += _locks_of_nobody(hub)
    return sorted(flaws, key=lambda flaw: (flaw.kind, str(flaw.path)))


@contextmanager
def hold_lock(lock: Path | None) -> Iterator[bool]:
    """Hold a download's lock during a deletion; yields False when it is taken.

    No lock file: nobody has taken it. A file system without flock: True, and only the age decides (see
    cache.filesystem).
    """
    if lock is None or not lock.exists():
        yield True
        return
    handle = os.open(lock, os.O_RDWR)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            yield error.errno not in (errno.EAGAIN, errno.EACCES)
            return
        yield True
    finally:
        os.close(handle)


def is_locked(lock: Path | None) -> bool:
    """Return whether another process holds the lock, or this user may not ask."""
    try:
        with hold_lock(lock) as ours:
            return not ours
    except PermissionError:
        return True


def _partials(root: Path, locations: CacheLocations, now: float) -> Iterator[Flaw]:
    inside: list[Path] = []
    for path, state in walk(root):
        if not path.name.endswith(PARTIAL) or any(path.is_relative_to(folder) for folder in inside):
            continue
        size, newest = state.st_size, state.st_mtime
        if stat.S_ISDIR(state.st_mode):
            inside.append(path)
            below = [found for _, found in walk(path) if stat.S_ISREG(found.st_mode)]
            size, newest = sum(one.st_size for one in below), max([newest, *(one.st_mtime for one in below)])
        lock = _lock_of(path, locations)
        why = "a download or a build that was not finished"
        yield Flaw("partial", path, size, why, lock, is_locked(lock), max(0.0, now - newest))


def _lock_of(path: Path, locations: CacheLocations) -> Path | None:
    """Return the lock huggingface_hub, or datasets, holds while it writes `path`."""
    if path.parent.name == "blobs" and path.parents[2] in locations.hubs:
        return path.parents[2] / ".locks" / path.parents[1].name / f"{path.name.split('.')[0]}.lock"
    if path.name.endswith(".incomplete") and any(path.is_relative_to(root) for root in locations.arrows):
        return path.with_name(path.name.removesuffix(".incomplete") + "_builder.lock")
    return None


def _orphans(repository: Path, hub: Path, now: float) -> Iterator[Flaw]:
    """Yield blobs without a link in any snapshot.

    They remain when a revision is deleted by hand.
    """
    links = [path for path, state in walk(repository / "snapshots") if stat.S_ISLNK(state.st_mode)]
    named = {os.path.normpath(link.parent / link.readlink()) for link in links}
    for blob in list_folder(repository / "blobs"):
        if blob.name.endswith(PARTIAL) or str(blob) in named or not blob.is_file():
            continue
        state = blob.stat()
        lock = hub / ".locks" / repository.name / f"{blob.name}.lock"
        why = "no snapshot names it"
        yield Flaw("orphan", blob, state.st_size, why, lock, is_locked(lock), max(0.0, now - state.st_mtime))


def _torn(repository: Path) -> Iterator[Flaw]:
    for path, state in walk(repository / "snapshots"):
        if stat.S_ISLNK(state.st_mode) and not path.exists():
            yield Flaw("torn", path, 0, f"a link into nowhere: {path.readlink().name[:12]} is not in blobs/")
    for reference in hub_cache_layout.read_references(repository):
        if reference.flaw:
            yield Flaw("torn", reference.path, 0, reference.flaw, cure=reference.cure)


def _locks_of_nobody(hub: Path) -> Iterator[Flaw]:
    for folder in list_folder(hub / ".locks"):
        if "--" in folder.name and not (hub / folder.name).is_dir() and not any(map(is_locked, list_folder(folder))):
            yield Flaw("orphan", folder, 0, "locks of a repository that is not here", age=float("inf"))
