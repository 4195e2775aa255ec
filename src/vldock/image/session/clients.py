"""Clients of the session's server: connections accepted, read and closed."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vldock.common.errors import VldockError
from vldock.image.events import Emit
from vldock.image.session import message_stream, server_socket

if TYPE_CHECKING:
    from vldock.image.session.messages import RunRequest, ServerAnswer


@dataclass(eq=False)
class Client:
    """Connection of a client, and its evaluator."""

    connection: socket.socket
    inbox: message_stream.Inbox = field(default_factory=message_stream.Inbox)
    child: int | None = None
    request: RunRequest | None = None
    started: str = ""
    gone: bool = False
    kill_at: float | None = None

    @property
    def run_id(self) -> str | None:
        """The name of its run; None without one."""
        return self.request["id"] if self.request else None

    def run_state(self) -> dict[str, Any]:
        """Return its run's entry in `session status`."""
        about = {"argv": self.request["argv"], "pid": self.request.get("pid")} if self.request else {}
        return {"id": self.run_id, **about, "started": self.started}

    def reply(self, message: ServerAnswer) -> None:
        """Send a message, unless the client has disconnected."""
        if not self.gone:
            with suppress(OSError):  # the next read notices the end
                message_stream.send(self.connection, message)

    def close(self) -> None:
        """Close the connection, and all untaken descriptors."""
        for descriptor in self.inbox.take_descriptors():
            os.close(descriptor)
        self.connection.close()


class ClientConnections:
    """The listening socket and its clients, on the server's selector.

    The selector's data is the function to call.
    `on_message` gets each message of a client, `on_close` a disconnected client.
    """

    def __init__(
        self,
        path: str,
        selector: selectors.BaseSelector,
        *,
        on_message: Callable[[Client, Any], None],
        on_close: Callable[[Client], None],
        emit: Emit,
    ) -> None:
        self._selector = selector
        self._on_message, self._on_close, self._emit = on_message, on_close, emit
        self._clients: dict[socket.socket, Client] = {}
        self._listener = server_socket.listen(path)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def drop(self, client: Client) -> None:
        """Close a client's connection."""
        client.close()
        self._clients.pop(client.connection, None)

    def close_inherited(self, kept: Client | None) -> None:
        """Close, in a fork, the sockets inherited from the server.

        The listening socket, and every client's connection but that of `kept`.
        """
        self._listener.close()
        for client in self._clients.values():
            if client is not kept:
                client.connection.close()

    def close_listener(self) -> None:
        """Accept no more clients."""
        self._listener.close()

    def _accept(self, _listener: Any) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        try:
            message_stream.require_same_user(connection)
        except VldockError as error:
            self._emit("refused", reason=error.message)
            connection.close()
            return
        connection.setblocking(True)
        self._clients[connection] = Client(connection)
        self._selector.register(connection, selectors.EVENT_READ, self._read)

    def _read(self, connection: Any) -> None:
        client = self._clients[connection]
        try:
            messages = client.inbox.feed(connection)
        except (OSError, EOFError):
            self._selector.unregister(connection)
            client.gone = True
            self._on_close(client)
            return
        for message in messages:
            self._on_message(client, message)
