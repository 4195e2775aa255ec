"""The worker as the server sees it: started, heard, started again when it dies; given up when no start succeeds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from vldock.image.process import stats as process_stats
from vldock.image.session import messages as wire
from vldock.image.session.worker_failure import read_cause

ATTEMPTS = 3  # starts in a row that never came to be ready
STOP_SECONDS = 5.0


class WorkerProcess:
    """A process of its own, not a fork: it will use the GPU.

    The server holds the listening socket, so that evaluators which connect while the worker starts again wait there.
    """

    def __init__(self, listener: socket.socket, models: Sequence[str], *, events: int = 1) -> None:
        self._listener = listener
        self._events = events  # the descriptor of what the session tells: its standard output
        self._asked = list(models)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._inbox = wire.Inbox()
        self._failures = 0
        self.models: list[dict[str, Any]] = []
        self.ready = False
        self.restarts = 0
        self.given_up = False
        self.cause: str | None = None  # of its last death
        self._written: int | None = None  # where it writes that itself
        self._killed_before = 0

    @property
    def pid(self) -> int | None:
        """Its process number, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def control(self) -> socket.socket:
        """Where it tells its state; its end closes when the worker ends."""
        if self._control is None:
            raise RuntimeError("the worker was not started")
        return self._control

    def start(self) -> None:
        """Start it, with the models that were asked for or loaded since."""
        ours, theirs = socket.socketpair()
        self._inbox, self._control, self.ready = wire.Inbox(), ours, False
        names = [word for name in self._wanted() for word in ("--model", name)]
        self._written = os.memfd_create("cause")
        self._killed_before = process_stats.kills_for_memory()
        numbers = (self._listener.fileno(), theirs.fileno(), self._written)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vldock.image.session.worker_main", *map(str, numbers), *names],
            pass_fds=numbers,
            stdout=self._events,
            start_new_session=True,  # a signal to the server's group is the server's to hear
        )
        theirs.close()

    def _wanted(self) -> list[str]:
        loaded = [str(model["name"]) for model in self.models if model["state"] == "ready"]
        return list(dict.fromkeys([*self._asked, *loaded]))

    def hear(self) -> bool:
        """Take in what it tells of itself; False when it has nothing more to tell."""
        try:
            messages = self._inbox.feed(self.control)
        except (OSError, EOFError):
            return False
        for message in messages:
            self.models, self.ready = message["models"], message["ready"]
            if self.ready:
                self._failures = 0
        return True

    def died(self, code: int) -> bool:
        """Note its end and the cause; tell whether to start it again."""
        if self._written is not None:
            starved = process_stats.kills_for_memory() > self._killed_before
            self.cause = read_cause(self._written, code=code, out_of_memory=starved)
        self.gone()
        self.restarts += 1
        self._failures += 1
        self.given_up = self._failures >= ATTEMPTS
        if self.given_up:
            self._listener.close()  # evaluators are refused now, and load in process
        return not self.given_up

    def gone(self) -> None:
        """Forget the process that ended."""
        if self._written is not None:
            os.close(self._written)
            self._written = None
        self._process, self.ready = None, False

    def forget(self) -> None:
        """Close, in a fork of the server, what is the server's."""
        self._listener.close()
        if self._control is not None:
            self._control.close()
        if self._written is not None:
            os.close(self._written)

    def stop(self) -> None:
        """End it, and wait for that."""
        process, self._process = self._process, None
        self._listener.close()
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
