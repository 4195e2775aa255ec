"""The server's lock and listening sockets, in the session's private folder."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit
from vldock.image.session.socket_paths import SocketPaths

BACKLOG = 128


def listen(path: str) -> socket.socket:
    """Return a listening socket at `path`.

    A socket of a dead session is replaced; the caller holds the lock.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    Path(path).unlink(missing_ok=True)
    listener.bind(path)
    Path(path).chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def lock(paths: SocketPaths) -> int:
    """Return the descriptor of the session's lock, held.

    Raises EnvironmentUnfit where another session holds the lock.
    """
    descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise EnvironmentUnfit(
            f"a session of this user is here already ({paths.folder})",
            expected="one session for each user of a container",
            hint="python -m vldock.image session status",
        ) from error
    return descriptor
