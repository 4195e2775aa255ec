"""Paths of a session's sockets.

They lie in a private folder for each user and image.
In a /tmp shared by several containers, each image has its own folder: its build digest is in the name.
"""

from __future__ import annotations

import os
import stat

from vldock.common.build_digest import read_build_digest
from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem import private_folder

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "session"
VARIABLE = "VLDOCK_SESSION"  # another folder than <tmp>/vldock-session-<build>-<uid>
REQUEST = "VLDOCK_REQUEST"  # name of a run, by which it can be cancelled from outside
WORKER = "VLDOCK_WORKER"  # 0: load in process
BUILD_LETTERS = 8  # of the digest, in the folder's name
LONGEST = 100  # bytes of a Unix socket's path; the kernel's bound is 107


class SocketPaths:
    """Files of a session.

    `runs`: the server's socket; `questions`: the worker's; `lock`: held by a living server.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.runs = f"{folder}/server.sock"  # not run.sock, where a server of before asked nobody for the build
        self.questions = f"{folder}/worker.sock"
        self.lock = f"{folder}/lock"


def exists(environ: Mapping[str, str]) -> bool:
    """Return whether a session was started here; creates nothing."""
    custom = environ.get(VARIABLE, "").strip()
    return os.path.lexists(SocketPaths(custom or _default_folder(environ, os.geteuid())).runs)


def _default_folder(environ: Mapping[str, str], uid: int) -> str:
    """Return the folder of this user's session of this image."""
    build = read_build_digest()
    return private_folder.folder_of(environ, uid, KIND if build is None else f"{KIND}-{build[:BUILD_LETTERS]}")


def make(environ: Mapping[str, str]) -> SocketPaths:
    """Return the session's paths; create their folder where missing.

    The folder has mode 0700.
    Raises EnvironmentUnfit where the folder is another user's, others may enter, or the path is too long.
    """
    custom, uid = environ.get(VARIABLE, "").strip(), os.geteuid()
    paths = SocketPaths(
        _make_custom(custom, uid) if custom else private_folder.make_private(_default_folder(environ, uid), uid)
    )
    mode = stat.S_IMODE(os.stat(paths.folder).st_mode)  # noqa: PTH116
    if mode & 0o077:
        raise EnvironmentUnfit(
            f"{paths.folder} is open to others (mode {mode:04o})",
            expected="mode 0700: whoever enters could run code as this user",
            hint=f"chmod 700 {paths.folder}",
        )
    if len(os.fsencode(paths.questions)) > LONGEST:
        raise EnvironmentUnfit(
            f"{paths.folder} is too long for a Unix socket", expected=f"{LONGEST} bytes", hint=VARIABLE
        )
    return paths


def _make_custom(folder: str, uid: int) -> str:
    os.makedirs(folder, 0o700, exist_ok=True)  # noqa: PTH103
    owner = os.lstat(folder).st_uid
    if owner != uid:
        raise EnvironmentUnfit(f"{VARIABLE}={folder} belongs to uid {owner}", expected=f"a folder of uid {uid}")
    return folder
