"""Separate standard output and error of a container or an exec.

docker-py reads them too (`attach(demux=True)`, `exec_run(demux=True)`), but never closes the socket it reads from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

Source = Literal["stdout", "stderr"]


def read_frames(sock: Any) -> Iterator[tuple[Source, bytes]]:
    """Yield (stream, bytes) until the other side ends, then close the socket.

    An engine that goes away ends it like a container that ends: the caller's next request tells the difference.
    """
    from docker.utils.socket import STDERR, SocketError, frames_iter

    try:
        with contextlib.suppress(OSError, SocketError):
            for number, chunk in frames_iter(sock, tty=False):
                yield ("stderr" if number == STDERR else "stdout"), chunk
    finally:
        # Closing the response closes the socket under it; over TLS docker-py hands out a socket without one.
        getattr(sock, "_response", sock).close()
