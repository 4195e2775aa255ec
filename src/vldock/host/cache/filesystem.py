"""File systems of caches: known hazards, and a trial.

The trial covers flock, links and rename. Sources: huggingface_hub's WeakFileLock (falls back to a lock file where
flock is refused); nfs(5); mount.lustre(8); IBM Storage Scale's notes on hard links across filesets; BeeGFS's
tuneUseGlobalFileLocks.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

UNSAFE = {
    "nfs": "flock may be local to one machine (option nolock, or a server without lockd); a file's old state is seen "
    "for up to a minute (actimeo); root is nobody (root_squash), so chown must be run on the server",
    "lustre": "flock works only where mounted with -o flock (localflock: within one machine); a hard link across "
    "metadata targets is refused",
    "gpfs": "flock may hold on one machine only (fcntl locks are cluster-wide); a hard link across filesets is refused",
    "cifs": "symbolic links are refused unless mounted with mfsymlinks: the Hub library then keeps whole copies",
    "beegfs": "flock is local unless tuneUseGlobalFileLocks is on; a hard link to another folder is refused",
    "sshfs": "flock is local to one machine; rename over a file may not be atomic",
    "object store": "no flock, no hard links, rename copies: keep a cache there read-only",
    "9p": "flock may be local to this guest; mmap may be refused",
}
TYPES = {
    "nfs": "nfs", "nfs4": "nfs", "lustre": "lustre", "gpfs": "gpfs", "mmfs": "gpfs", "cifs": "cifs", "smb3": "cifs",
    "smbfs": "cifs", "beegfs": "beegfs", "fuse.sshfs": "sshfs", "fuse.gcsfuse": "object store", "9p": "9p",
    "fuse.s3fs": "object store", "fuse.mountpoint-s3": "object store", "fuse.goofys": "object store",
    "fuse.rclone": "object store", "fuse.blobfuse2": "object store",
}  # fmt: skip
LOST = {"tmpfs": "memory: lost at the next start", "overlay": "a container's own layer: lost with the container"}
ADVICE = "fill a cache from one machine at a time, then mount it read-only; or keep it on a local disk"


@dataclass(frozen=True)
class MountPoint:
    """The mount of a folder: place, type and options."""

    point: str
    kind: str
    options: frozenset[str] = frozenset()

    @property
    def network(self) -> str | None:
        """The name of a network file system; None for a local one."""
        return TYPES.get(self.kind)

    def describe(self) -> str:
        """Return its type, and the hazards of a network file system."""
        seen = f"{self.kind} at {self.point}"
        if self.network is None:
            return f"{seen}: {LOST[self.kind]}" if self.kind in LOST else seen
        return f"{seen}, a network file system ({self.network}): {self._unsafe()}"

    def _unsafe(self) -> str:
        if self.network == "lustre" and "flock" in self.options:
            return "mounted with -o flock, so locks hold; a hard link across metadata targets is refused"
        if self.network == "nfs" and "nolock" in self.options:
            return f"mounted with nolock, so two machines do not see each other's locks; {UNSAFE['nfs']}"
        return UNSAFE[self.network or ""]


def list_mounts() -> list[MountPoint]:
    """Return every mount of this machine."""
    import psutil

    found = psutil.disk_partitions(all=True)
    return [MountPoint(one.mountpoint, one.fstype, frozenset(one.opts.split(","))) for one in found]


def find_mount(path: Path, known: Iterable[MountPoint]) -> MountPoint | None:
    """Return the mount `path` lies on.

    Of the deepest mount point above it, the one mounted last.
    """
    best: MountPoint | None = None
    for one in known:
        if path.is_relative_to(one.point) and (best is None or len(one.point) >= len(best.point)):
            best = one
    return best


def try_operations(folder: Path) -> dict[str, str | None]:
    """Return {operation: None, or the reason it failed} of a trial in `folder`.

    The operations are those caches rely on; nothing is left behind.
    """
    with tempfile.TemporaryDirectory(prefix=".vldock-trial-", dir=folder) as made:
        here = Path(made)
        (here / "a").write_bytes(b"a")
        tries: dict[str, Callable[[], object]] = {
            "flock": lambda: _locks(here / "a"),
            "symbolic links": lambda: (here / "symbolic").symlink_to("a"),
            "hard links": lambda: (here / "hard").hardlink_to(here / "a"),
            "rename over a file": lambda: _renames(here),
        }
        return {name: _reason(attempt) for name, attempt in tries.items()}


def _reason(attempt: Callable[[], object]) -> str | None:
    try:
        attempt()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _renames(here: Path) -> None:
    (here / "b").write_bytes(b"b")
    (here / "b").replace(here / "a")


def _locks(path: Path) -> None:
    """Take a lock twice: the second must be refused."""
    first, second = os.open(path, os.O_RDWR), os.open(path, os.O_RDWR)
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        raise OSError(0, "two holders at once: flock does nothing here")
    finally:
        os.close(first)
        os.close(second)
