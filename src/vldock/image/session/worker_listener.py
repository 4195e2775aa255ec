"""The worker's thread that hears and answers: it never computes, so that a status is told while a model thinks."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from vldock.common.errors import VldockError
from vldock.image.session import messages as wire


@dataclass(eq=False)
class Connection:
    """A connection to the worker, and what is still to be sent over it."""

    connection: socket.socket
    inbox: wire.Inbox = field(default_factory=wire.Inbox)
    outbox: deque[memoryview] = field(default_factory=deque)
    gone: bool = False


class WorkerListener:
    """Where evaluators come: hands each message to `heard`, tells `left` when one is gone, posts answers.

    `ended` is called when the server is gone, `failed` with what went wrong in its thread.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        heard: Callable[[Connection, dict[str, Any]], None],
        left: Callable[[Connection], None],
        ended: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._listener = listener
        self._heard, self._left, self._ended, self._failed = heard, left, ended, failed
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._posted: deque[tuple[Connection, bytes]] = deque()
        self.control: Connection | None = None

    def start(self, control: socket.socket) -> None:
        """Begin in a thread of its own; the end of `control` is the end of the server, and calls `ended`."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self.control = self._welcome(control)
        threading.Thread(target=self._loop, name="counter", daemon=True).start()

    def post(self, guest: Connection, message: Any) -> None:
        """Send a message as soon as the other end takes it; from any thread, never waits."""
        self._posted.append((guest, wire.packed(message)))
        with suppress(BlockingIOError):  # full: the thread is awake
            os.write(self._woken, b".")

    def _loop(self) -> None:
        try:
            while True:
                for key, events in self._selector.select():
                    self._attend(key, events)
        except BaseException as error:  # noqa: BLE001  a worker that hears nothing more must not go on
            self._failed(error)

    def _attend(self, key: selectors.SelectorKey, events: int) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.fileobj == self._wake:
            self._collect()
        else:
            self._serve(key.data, events)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        try:
            wire.require_same_user(connection)
        except VldockError:
            connection.close()
            return
        self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> Connection:
        connection.setblocking(False)
        guest = Connection(connection)
        self._selector.register(connection, selectors.EVENT_READ, guest)
        return guest

    def _collect(self) -> None:
        os.read(self._wake, 4096)
        while self._posted:
            guest, data = self._posted.popleft()
            if not guest.gone:
                guest.outbox.append(memoryview(data))
                self._write(guest)

    def _serve(self, guest: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._write(guest)
        if events & selectors.EVENT_READ and not guest.gone:
            try:
                messages = guest.inbox.feed(guest.connection)
            except BlockingIOError:
                return
            except (OSError, EOFError):
                self._forget(guest)
                return
            for message in messages:
                self._heard(guest, message)

    def _write(self, guest: Connection) -> None:
        try:
            while guest.outbox:
                sent = guest.connection.send(guest.outbox[0])
                guest.outbox[0] = guest.outbox[0][sent:]
                if not guest.outbox[0]:
                    guest.outbox.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._forget(guest)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if guest.outbox else 0)
        self._selector.modify(guest.connection, wanted, guest)

    def _forget(self, guest: Connection) -> None:
        guest.gone = True
        self._selector.unregister(guest.connection)
        guest.connection.close()
        self._left(guest)
        if guest is self.control:
            self._ended()
