"""Commands to type when a folder cannot be written, by kind of failure."""

from __future__ import annotations

import errno
import shlex
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem.permissions import Identity, nearest_existing, why_unwritable

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


def chown_command(path: Path, who: Identity) -> str:
    """Return the command to give an existing tree to `who`."""
    return f"sudo chown -R {who.uid}:{who.gid} {shlex.quote(str(path))}"


def mkdir_command(path: Path, who: Identity) -> str:
    """Return the command to make the folder `path` for `who`.

    Where it exists, the command that gives it to them.
    """
    if path.is_dir():
        return chown_command(path, who)
    return f"sudo install -d -o {who.uid} -g {who.gid} {shlex.quote(str(path))}"


def write_error(error: OSError, path: Path, who: Identity) -> EnvironmentUnfit:
    """Return the error to raise when `path` could not be written.

    No room, no permission, or the system's own reason.
    """
    if error.errno in NO_SPACE:
        there = shlex.quote(str(nearest_existing(path)))
        return EnvironmentUnfit(
            f"no room left to write {path}",
            expected="free space and inodes, within the quota",
            hint=f"df -h {there}; df -i {there}; vldock cache prune shows what can go",
        )
    if error.errno == errno.EROFS:
        return EnvironmentUnfit(
            f"{path}: {why_unwritable(path, who)}",
            expected="a file system mounted for writing",
            hint="name a folder on another file system, or mount this one without 'ro'",
        )
    if error.errno in NO_PERMISSION:
        return EnvironmentUnfit(
            f"{path} cannot be written: {why_unwritable(path, who)}",
            expected=f"a folder that uid {who.uid} can write",
            hint=mkdir_command(path, who),
        )
    return EnvironmentUnfit(
        f"{path} cannot be written: {error.strerror or error}",
        expected="a folder",
        hint=f"ls -ld {nearest_existing(path)}",
    )
