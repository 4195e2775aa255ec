"""The evaluators of a session: forks of the server, one for each run; signalled, awaited, killed when they linger.

While nothing runs a spare one is forked ahead: copying the page tables of a process with VLMEvalKit in it takes 25 ms.
"""

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
from vldock.image.session import messages

GRACE = 8.0  # seconds for an evaluator to end by itself; docker stop allows ten
INTERRUPTED = 130
STOPPING = (signal.SIGINT, signal.SIGTERM)

Become = Callable[[dict[str, Any], list[int], socket.socket], NoReturn]


@dataclass(eq=False)
class Client:
    """A connection, and the evaluator that runs for it."""

    connection: socket.socket
    inbox: messages.Inbox = field(default_factory=messages.Inbox)
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
                messages.send(self.connection, message)

    def close(self) -> None:
        """Close the connection, and descriptors that came and were not wanted."""
        for descriptor in self.inbox.take_descriptors():
            os.close(descriptor)
        self.connection.close()


class EvaluatorPool:
    """Starts, steers and awaits them; `leave` closes in a fork what is the server's, `become` does not return."""

    def __init__(self, *, become: Become, leave: Callable[[Client | None], None], emit: Emit) -> None:
        self._become = become
        self._leave = leave
        self._emit = emit
        self._running: dict[int, Client] = {}
        self._spare: tuple[int, socket.socket] | None = None  # its process, and the line to it
        self.count = 0

    @property
    def running(self) -> list[Client]:
        """The clients whose evaluators run."""
        return list(self._running.values())

    def start(self, client: Client, request: dict[str, Any], descriptors: Iterable[int]) -> None:
        """Have the spare evaluator, or a fork, run a request; the descriptors stay the caller's."""
        self.count += 1
        request["id"] = request.get("request") or f"{os.getpid()}-{self.count}"
        request["server"] = os.getpid()
        client.request, client.started = request, datetime.now(UTC).isoformat(timespec="seconds")
        descriptors = list(descriptors)
        child = self._hand_over(client, request, descriptors)
        if child is None:
            child = _fork()
            if child == 0:
                self._leave(client)
                self._become(request, descriptors, client.connection)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        client.child = child
        self._running[child] = client
        self._emit("eval_start", id=request["id"], argv=request["argv"], pid=child)

    def keep_spare(self) -> None:
        """Fork an evaluator that waits for the next request, where there is none and nothing else to do."""
        if self._spare is not None or self._running:
            return
        ours, theirs = socket.socketpair()
        child = _fork()
        if child == 0:
            ours.close()
            self._leave(None)
            self._wait(theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        theirs.close()
        self._spare = (child, ours)

    def _wait(self, line: socket.socket) -> NoReturn:
        """Be the spare: become the evaluator of the request that comes, or end with the server."""
        os.setsid()  # what is sent to the server's group is not for the run to come
        inbox, requests = messages.Inbox(), list[Any]()
        try:
            while not requests:
                requests = inbox.feed(line)
        except OSError:
            os._exit(0)
        line.close()
        *descriptors, connection = inbox.take_descriptors()
        self._become(requests[0], descriptors, socket.socket(fileno=connection))

    def _hand_over(self, client: Client, request: dict[str, Any], descriptors: list[int]) -> int | None:
        """Give a request to the spare evaluator and return its process; None where there is none."""
        if self._spare is None:
            return None
        (child, line), self._spare = self._spare, None
        try:
            messages.send(line, request, descriptors=[*descriptors, client.connection.fileno()])
        except OSError:  # it was killed: its end is seen at the next wait
            return None
        finally:
            line.close()
        return child

    def forget_spare(self) -> None:
        """Close the line to the spare evaluator, which ends by that."""
        if self._spare is not None:
            self._spare[1].close()
            self._spare = None

    def ended(self, child: int, status: int) -> Client | None:
        """Note an evaluator's end, tell its client, and return it; None where the process was none."""
        client = self._running.pop(child, None)
        if client is None:
            if self._spare and self._spare[0] == child:
                self.forget_spare()
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


def _fork() -> int:
    """Fork with signals held back: until the fork has handlers of its own it would handle them as the server does.

    The parent lets them through again.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    return os.fork()


def _kill(child: int) -> None:
    """Kill what is left of an evaluator and the pools it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
