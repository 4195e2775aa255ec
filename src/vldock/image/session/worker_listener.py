"""The worker's I/O thread.

It receives requests and sends answers while the main thread computes.
It never computes, so a status is reported during a long request.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from vldock.common.errors import VldockError
from vldock.image.session import message_stream


@dataclass(eq=False)
class Connection:
    """A connection to the worker, and the bytes not sent yet."""

    socket: socket.socket
    inbox: message_stream.Inbox = field(default_factory=message_stream.Inbox)
    outbox: deque[memoryview] = field(default_factory=deque)
    gone: bool = False


class WorkerListener:
    """Connections of evaluators: passes each message to `on_message`, sends answers.

    Called in its thread: `on_close` when an evaluator is gone, `on_server_end` when the server is, `on_error` with
    whatever else went wrong.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        on_message: Callable[[Connection, Any], None],
        on_close: Callable[[Connection], None],
        on_server_end: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._listener = listener
        self._on_message, self._on_close = on_message, on_close
        self._on_server_end, self._on_error = on_server_end, on_error
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._posted: deque[tuple[Connection, bytes]] = deque()
        self.control: Connection | None = None

    def start(self, control: socket.socket) -> None:
        """Start the thread.

        The end of `control` is the end of the server, and calls `on_server_end`.
        """
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self.control = self._add(control)
        threading.Thread(target=self._loop, name="listener", daemon=True).start()

    def post(self, connection: Connection, message: Mapping[str, Any]) -> None:
        """Queue a message for another process.

        It is sent as soon as the other end takes it.
        From any thread, never blocks.
        """
        self._posted.append((connection, message_stream.pack(message)))
        with suppress(BlockingIOError):  # full: the thread is awake
            os.write(self._woken, b".")

    def _loop(self) -> None:
        try:
            while True:
                for key, events in self._selector.select():
                    self._dispatch(key, events)
        except BaseException as error:  # noqa: BLE001  a worker that receives nothing more must not go on
            self._on_error(error)

    def _dispatch(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj == self._wake:
            self._send_posted()
        else:
            self._serve(key.data, events)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        try:
            message_stream.require_same_user(accepted)
        except VldockError:
            accepted.close()
            return
        self._add(accepted)

    def _add(self, accepted: socket.socket) -> Connection:
        accepted.setblocking(False)
        connection = Connection(accepted)
        self._selector.register(accepted, selectors.EVENT_READ, connection)
        return connection

    def _send_posted(self) -> None:
        os.read(self._wake, 4096)
        while self._posted:
            connection, data = self._posted.popleft()
            if not connection.gone:
                connection.outbox.append(memoryview(data))
                self._write(connection)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._write(connection)
        if events & selectors.EVENT_READ and not connection.gone:
            try:
                messages = connection.inbox.feed(connection.socket)
            except BlockingIOError:
                return
            except (OSError, EOFError):
                self._close(connection)
                return
            for message in messages:
                self._on_message(connection, message)

    def _write(self, connection: Connection) -> None:
        try:
            while connection.outbox:
                sent = connection.socket.send(connection.outbox[0])
                connection.outbox[0] = connection.outbox[0][sent:]
                if not connection.outbox[0]:
                    connection.outbox.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.outbox else 0)
        self._selector.modify(connection.socket, events, connection)

    def _close(self, connection: Connection) -> None:
        connection.gone = True
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._on_close(connection)
        if connection is self.control:
            self._on_server_end()
