"""The evaluators of a session: forks of the server, one for each run; signalled, awaited, killed when they linger."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from vldock.image.events import Emit
from vldock.image.session import wire

GRACE = 8.0  # seconds for an evaluator to end by itself; docker stop allows ten
INTERRUPTED = 130
STOPPING = (signal.SIGINT, signal.SIGTERM)

Become = Callable[[dict[str, Any], list[int], socket.socket], NoReturn]


@dataclass(eq=False)
class Client:
    """A connection, and the evaluator that runs for it."""

    connection: socket.socket
    inbox: wire.Inbox = field(default_factory=wire.Inbox)
    child: int | None = None
    request: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    gone: bool = False
    kill_at: float | None = None

    def told(self) -> dict[str, Any]:
        """Return what `session status` says of its run."""
        return {**{name: self.request.get(name) for name in ("id", "argv", "pid")}, "started": self.started}

    def answer(self, message: dict[str, Any]) -> None:
        """Send a message, unless the other end is gone."""
        if not self.gone:
            with suppress(OSError):  # its end is seen at the next read
                wire.send(self.connection, message)

    def close(self) -> None:
        """Close the connection, and descriptors that came and were not wanted."""
        for descriptor in self.inbox.take_descriptors():
            os.close(descriptor)
        self.connection.close()


class Evaluations:
    """Starts, steers and awaits them; `leave` closes in a fork what is the server's, `become` does not return."""

    def __init__(self, *, become: Become, leave: Callable[[Client], None], emit: Emit) -> None:
        self._become = become
        self._leave = leave
        self._emit = emit
        self._running: dict[int, Client] = {}
        self.count = 0

    @property
    def running(self) -> list[Client]:
        """The clients whose evaluators run."""
        return list(self._running.values())

    def start(self, client: Client, request: dict[str, Any], descriptors: Iterable[int]) -> None:
        """Fork an evaluator for a request; the descriptors stay the caller's."""
        self.count += 1
        request["id"] = request.get("request") or f"{os.getpid()}-{self.count}"
        client.request, client.started = request, datetime.now(UTC).isoformat(timespec="seconds")
        # Until the fork has handlers of its own a signal for it would be handled as the server does.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        child = os.fork()
        if child == 0:
            self._leave(client)
            self._become(request, list(descriptors), client.connection)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        client.child = child
        self._running[child] = client
        self._emit("eval_start", id=request["id"], argv=request["argv"], pid=child)

    def ended(self, child: int, status: int) -> Client | None:
        """Note an evaluator's end, tell its client, and return it; None where the process was none."""
        client = self._running.pop(child, None)
        if client is None:
            return None
        _kill(child)  # a pool that outlived its evaluator
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        if code == 128 + signal.SIGKILL and client.kill_at is not None:
            code = INTERRUPTED  # it was asked to end, and took too long over it
        client.child = None
        self._emit("eval_end", id=client.request["id"], exit=code)
        client.answer({"exit": code})
        return client

    def signal(self, client: Client, number: int) -> None:
        """Signal an evaluator alone: a pool whose workers are interrupted as well never ends its map()."""
        if client.child is not None:
            with suppress(ProcessLookupError):
                os.kill(client.child, number)

    def hang_up(self, client: Client) -> None:
        """End a run as Ctrl-C does; it is killed when it takes longer than GRACE."""
        if client.kill_at is None:
            self.signal(client, signal.SIGINT)
            client.kill_at = time.monotonic() + GRACE

    def kill_overdue(self) -> None:
        """Kill those that were asked to end and did not."""
        for child, client in self._running.items():
            if client.kill_at is not None and time.monotonic() > client.kill_at:
                _kill(child)


def _kill(child: int) -> None:
    """Kill what is left of an evaluator and the pools it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
