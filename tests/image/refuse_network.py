"""Block of every network attempt, with an error class of its own; Unix sockets still work."""

from __future__ import annotations

import socket
from typing import Any


class NetworkRefused(RuntimeError):
    """Code under test tried to reach a network.

    Not an OSError, so that no retry loop takes it for an outage.
    """


def install() -> None:
    """Refuse name look-ups and internet connections in this process and its forks."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse_lookup(host: Any, *_: Any, **__: Any) -> Any:
        raise NetworkRefused(f"a test looked up {host!r}")

    def guard(original: Any) -> Any:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX:
                raise NetworkRefused(f"a test tried to connect to {address!r}")
            return original(self, address)

        return guarded

    socket.getaddrinfo = refuse_lookup
    socket.gethostbyname = refuse_lookup
    socket.socket.connect = guard(connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = guard(connect_ex)  # type: ignore[method-assign]
