"""Write and read permissions of this user, and the mount that lacks them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem import private_folder as private


class Identity(NamedTuple):
    """Effective user and group, and the user's name if known."""

    uid: int
    gid: int
    name: str | None


def whoami() -> Identity:
    """Return the identity of this process."""
    import pwd

    uid = os.geteuid()
    try:
        name: str | None = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = None
    return Identity(uid, os.getegid(), name)


def can_write(path: Path) -> bool:
    """Return whether this user may create files in `path`.

    Where `path` does not exist, the user must be able to make it. Nothing is created.
    """
    there = nearest_existing(path)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK, effective_ids=True)


def make_writable(path: Path) -> bool:
    """Make the folder `path` and return whether this user may write in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return can_write(path)


def nearest_existing(path: Path) -> Path:
    """Return `path`, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if os.path.lexists(folder))


def can_read(path: Path) -> bool:
    """Return whether this user may read `path`, and list it if a folder."""
    wanted = os.R_OK | (os.X_OK if os.path.isdir(path) else 0)  # noqa: PTH112 - Path.is_dir raises below a closed folder
    return os.access(path, wanted, effective_ids=True)


def is_unreadable(path: Path) -> bool:
    """Return whether `path` is there and this user cannot read it.

    Also where the folder above it, at which looking ends, is closed.
    """
    return not can_read(nearest_existing(path))


def read_error(path: Path, who: Identity) -> EnvironmentUnfit:
    """Return the error naming an unreadable path, its owner and the remedy."""
    there = nearest_existing(path.resolve())
    owner = there.stat()
    mounts = (str(folder) for folder in (there, *there.parents) if os.path.ismount(folder))
    return EnvironmentUnfit(
        f"{there} belongs to {owner.st_uid}:{owner.st_gid} (mode {stat.S_IMODE(owner.st_mode):o}) "
        f"and uid {who.uid} cannot read it",
        expected="benchmarks and weights that this user can read",
        hint=f"on the host, chmod -R a+rX the folder mounted at {next(mounts)}, "
        f"or start with --user {owner.st_uid}:{owner.st_gid}",
    )


def why_unwritable(path: Path, who: Identity) -> str:
    """Return a short reason why `path` cannot be written.

    Read-only, or its owner and mode beside this user.
    """
    there = nearest_existing(path)
    if not there.is_dir():
        return f"{there} is not a folder"
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"{there} is read-only"
    seen = there.stat()
    mode = stat.S_IMODE(seen.st_mode)
    return f"{there} belongs to {seen.st_uid}:{seen.st_gid} (mode {mode:o}), this is {who.uid}:{who.gid}"


def writable_hint(path: Path, who: Identity) -> str:
    """Return the hint to make `path` writable.

    It is a change to `docker run`, or to the host.
    """
    if not path.is_mount():
        return f'mount a folder you own: -v "$PWD/{path.name}:{path}"'
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"drop ':ro' from the mount at {path}"
    owner = path.stat()
    chown = f"on the host, sudo chown -R {who.uid}:{who.gid} the folder mounted at {path}"
    return f"{chown}, or start with --user {owner.st_uid}:{owner.st_gid}" if owner.st_uid else chown


def temporary_root(environ: Mapping[str, str], who: Identity) -> Path:
    """Return the first writable temporary folder: $TMPDIR, /tmp, /var/tmp, /dev/shm.

    Raises EnvironmentUnfit when there is none.
    """
    return Path(private.temporary_root(environ, who.uid))


def private_folder(environ: Mapping[str, str], who: Identity, kind: str) -> Path:
    """Return <tmp>/vldock-<kind>-<uid>, made with mode 0700.

    Raises EnvironmentUnfit when another user owns that name, or no temporary folder can be written.
    """
    return Path(private.make_private(private.folder_of(environ, who.uid, kind), who.uid))
