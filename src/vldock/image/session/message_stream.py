"""Messages over a Unix stream socket.

Each is eight bytes of length, then a pickle.
File descriptors are sent with the length. Pickle, because both ends are the same user's processes
(`require_same_user`) of the same image, and a benchmark's message may hold any Python value. Types: messages.py.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct

from vldock.common.errors import EnvironmentUnfit

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

HEADER = struct.Struct("!Q")
MOST_DESCRIPTORS = 8
CHUNK = 1 << 16
CREDENTIALS = struct.Struct("3i")  # struct ucred of SO_PEERCRED: pid, uid, gid


class Closed(ConnectionError):
    """The other end has closed the connection."""


class Inbox:
    """Buffer of bytes and descriptors received so far."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.descriptors: list[int] = []

    def feed(self, connection: socket.socket) -> list[Any]:
        """Read once and return the complete messages.

        Raises Closed at the end of the stream.
        """
        data, descriptors, _, _ = socket.recv_fds(connection, CHUNK, MOST_DESCRIPTORS)
        self.descriptors += descriptors
        if not data:
            raise Closed("the other end closed the connection")
        self._bytes += data
        return list(self._complete())

    def _complete(self) -> Iterable[Any]:
        while len(self._bytes) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(self._bytes)[0]
            if len(self._bytes) < end:
                return
            message = pickle.loads(self._bytes[HEADER.size : end])
            del self._bytes[:end]
            yield message

    def take_descriptors(self) -> list[int]:
        """Return the descriptors received; the caller closes them."""
        taken, self.descriptors = self.descriptors, []
        return taken


def pack(message: Any) -> bytes:
    """Return a message as bytes for the wire."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(body)) + body


def send(connection: socket.socket, message: Any, *, descriptors: Iterable[int] = ()) -> None:
    """Send one message, blocking until it is taken.

    Raises OSError where the other end is gone.
    """
    data = pack(message)
    descriptors = list(descriptors)
    if descriptors:
        sent = socket.send_fds(connection, [data[: HEADER.size]], descriptors)
        data = data[sent:]
    connection.sendall(data)


class Stream:
    """A blocking connection, as evaluators and clients use."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._inbox = Inbox()
        self._waiting: list[Any] = []

    def send(self, message: Any, *, descriptors: Iterable[int] = ()) -> None:
        """Send one message; raises OSError where the other end is gone."""
        send(self.connection, message, descriptors=descriptors)

    def receive(self) -> Any:
        """Wait for the next message.

        Raises Closed when the other end is gone.
        """
        while not self._waiting:
            try:
                self._waiting = self._inbox.feed(self.connection)
            except ConnectionResetError as error:
                raise Closed("the other end died") from error
        return self._waiting.pop(0)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def connect(path: str | os.PathLike[str]) -> Stream:
    """Connect to a socket of this user's.

    Raises OSError, and EnvironmentUnfit where the socket is another user's.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fspath(path))
        require_same_user(connection)
    except BaseException:
        connection.close()
        raise
    return Stream(connection)


def require_same_user(connection: socket.socket) -> int:
    """Return the process number of the other end.

    Raises EnvironmentUnfit where that process is another user's.
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    number, user, _ = CREDENTIALS.unpack(raw)
    if user != os.geteuid():
        raise EnvironmentUnfit(
            f"uid {user} is on the other end of the session's socket",
            expected=f"uid {os.geteuid()}, whose session it is",
        )
    return int(number)
