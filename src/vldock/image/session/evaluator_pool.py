"""Evaluators of a session: forks of the server, one for each run.

Signalled, reaped, killed when overdue.
While nothing runs, a spare one is forked in advance: copying the page tables of a process with VLMEvalKit in it takes
25 ms.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from vldock.image.events import Emit
from vldock.image.session import message_stream
from vldock.image.session.clients import Client

if TYPE_CHECKING:
    from vldock.image.session.messages import RunRequest

GRACE = 8.0  # seconds for an evaluator to end by itself; docker stop allows ten
INTERRUPTED = 130
STOPPING = (signal.SIGINT, signal.SIGTERM)

RunEvaluator = Callable[["RunRequest", list[int], socket.socket], NoReturn]


class EvaluatorPool:
    """Starts, signals and reaps evaluators.

    `run` turns a fork into an evaluator and does not return; `close_inherited` closes the server's descriptors in it.
    """

    def __init__(self, *, run: RunEvaluator, close_inherited: Callable[[Client | None], None], emit: Emit) -> None:
        self._run = run
        self._close_inherited = close_inherited
        self._emit = emit
        self._running: dict[int, Client] = {}
        self._spare: tuple[int, socket.socket] | None = None  # process number, and the connection to it
        self.count = 0

    @property
    def running(self) -> list[Client]:
        """Clients with a running evaluator."""
        return list(self._running.values())

    def start(self, client: Client, request: RunRequest, descriptors: Iterable[int]) -> None:
        """Run a request in the spare evaluator, or in a new fork.

        The caller closes the descriptors.
        """
        self.count += 1
        request["id"] = request.get("request") or f"{os.getpid()}-{self.count}"
        request["server"] = os.getpid()
        client.request, client.started = request, datetime.now(UTC).isoformat(timespec="seconds")
        descriptors = list(descriptors)
        child = self._hand_over(client, request, descriptors)
        if child is None:
            child = _fork()
            if child == 0:
                self._close_inherited(client)
                self._run(request, descriptors, client.connection)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        client.child = child
        self._running[child] = client
        self._emit("eval_start", id=request["id"], argv=request["argv"], pid=child)

    def fork_spare(self) -> None:
        """Fork a spare evaluator; it waits for the next request.

        Does nothing where there is a spare one or a run.
        """
        if self._spare is not None or self._running:
            return
        ours, theirs = socket.socketpair()
        child = _fork()
        if child == 0:
            ours.close()
            self._close_inherited(None)
            self._wait_for_request(theirs)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        theirs.close()
        self._spare = (child, ours)

    def _wait_for_request(self, server: socket.socket) -> NoReturn:
        """Run the next request in the spare evaluator.

        Exits when the server ends.
        """
        os.setsid()  # signals to the server's process group are not for the run to come
        inbox, requests = message_stream.Inbox(), list[Any]()
        try:
            while not requests:
                requests = inbox.feed(server)
        except OSError:
            os._exit(0)
        server.close()
        *descriptors, connection = inbox.take_descriptors()
        self._run(requests[0], descriptors, socket.socket(fileno=connection))

    def _hand_over(self, client: Client, request: RunRequest, descriptors: list[int]) -> int | None:
        """Send a request to the spare evaluator; return its process number.

        None where there is no spare evaluator.
        """
        if self._spare is None:
            return None
        (child, spare), self._spare = self._spare, None
        try:
            message_stream.send(spare, request, descriptors=[*descriptors, client.connection.fileno()])
        except OSError:  # it was killed: reaped later
            return None
        finally:
            spare.close()
        return child

    def close_spare(self) -> None:
        """End the spare evaluator by closing its connection."""
        if self._spare is not None:
            self._spare[1].close()
            self._spare = None

    def record_end(self, child: int, status: int) -> Client | None:
        """Record an evaluator's end, report it to its client, return the client.

        None where the process was none.
        """
        client = self._running.pop(child, None)
        if client is None:
            if self._spare and self._spare[0] == child:
                self.close_spare()
            return None
        _kill(child)  # a pool that outlived its evaluator
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        if code == 128 + signal.SIGKILL and client.kill_at is not None:
            code = INTERRUPTED  # interrupted, and killed when overdue
        client.child = None
        self._emit("eval_end", id=client.run_id, exit=code)
        client.reply({"exit": code})
        return client

    def signal(self, client: Client, number: int) -> None:
        """Signal an evaluator, without its child processes.

        A pool whose workers are interrupted as well never ends its map().
        """
        if client.child is not None:
            with suppress(ProcessLookupError):
                os.kill(client.child, number)

    def interrupt(self, client: Client) -> None:
        """End a run as Ctrl-C does; it is killed after GRACE seconds."""
        if client.kill_at is None:
            self.signal(client, signal.SIGINT)
            client.kill_at = time.monotonic() + GRACE

    def kill_overdue(self) -> None:
        """Kill interrupted evaluators still running after GRACE seconds."""
        for child, client in self._running.items():
            if client.kill_at is not None and time.monotonic() > client.kill_at:
                _kill(child)


def _fork() -> int:
    """Fork with signals blocked.

    Until the fork has its own handlers, the server's would run in it.
    The parent unblocks them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    return os.fork()


def _kill(child: int) -> None:
    """Kill an evaluator and the pools it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
