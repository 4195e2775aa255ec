"""Owners and modes of a cache, and the one command that repairs them."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vldock.common.filesystem.permissions import Identity, whoami
from vldock.host.cache.locations import walk

READ, WRITE, ENTER = 4, 2, 1


@dataclass(frozen=True)
class Access:
    """Paths `who` cannot use below a root.

    Others' paths, own paths closed by their mode, and paths anybody may write.
    """

    root: Path
    who: Identity
    foreign: tuple[Path, ...] = ()
    closed: tuple[Path, ...] = ()
    open_to_all: tuple[Path, ...] = ()

    @property
    def fit(self) -> bool:
        """Whether every file can be read, and every folder written."""
        return not (self.foreign or self.closed)

    def command(self) -> str | None:
        """Return the one command that repairs it, or None.

        It is for whoever may run it.
        """
        root = shlex.quote(str(self.root))
        modes = ",".join([*(["u+rwX"] if self.closed or self.foreign else []), *(["o-w"] if self.open_to_all else [])])
        words = f"chmod -R {modes} {root}"
        if self.foreign:
            return f"sudo sh -c {shlex.quote(f'chown -R {self.who.uid}:{self.who.gid} {root} && {words}')}"
        return words if modes else None


def intended_user(root: Path, user: str | None = None) -> Identity:
    """Return the user of a cache: UID:GID of --user, else the caller.

    For root: the owner of the folder.

    Raises ValueError for what is no UID:GID.
    """
    if user:
        uid, _, gid = user.partition(":")
        return Identity(int(uid), int(gid or uid), None)
    who = whoami()
    owner = root.stat()
    return who if who.uid else Identity(owner.st_uid, owner.st_gid, None)


def scan_access(root: Path, who: Identity, *, groups: Iterable[int] | None = None) -> Access:
    """Walk `root` and return the paths `who` cannot use.

    Links have no modes of their own.
    """
    own_groups = {who.gid, *(os.getgroups() if groups is None and who.uid == os.geteuid() else groups or ())}
    foreign: list[Path] = []
    closed: list[Path] = []
    open_to_all: list[Path] = []
    for path, state in ((root, root.lstat()), *walk(root)):
        if stat.S_ISLNK(state.st_mode):
            continue
        wanted = READ | WRITE | ENTER if stat.S_ISDIR(state.st_mode) else READ
        if not allows(state, who.uid, own_groups, wanted):
            (closed if state.st_uid == who.uid else foreign).append(path)
        if state.st_mode & stat.S_IWOTH and not state.st_mode & stat.S_ISVTX and path != root:
            open_to_all.append(path)
    return Access(root, who, tuple(foreign), tuple(closed), tuple(open_to_all))


def allows(state: os.stat_result, uid: int, groups: Iterable[int], wanted: int) -> bool:
    """Return whether a mode grants the access `wanted`.

    Accesses are 4 read, 2 write and 1 enter; root has all of them.
    """
    if uid == 0:
        return True
    shift = 6 if state.st_uid == uid else 3 if state.st_gid in groups else 0
    return (state.st_mode >> shift) & wanted == wanted
