"""The worker as the server sees it: start, state, death, restart."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vldock.image.process import stats as process_stats
from vldock.image.remote_code import modules_folder
from vldock.image.session import message_stream
from vldock.image.session.worker_failure import read_cause

if TYPE_CHECKING:
    from vldock.image.session.messages import WorkerState

ATTEMPTS = 3  # consecutive starts that never became ready, before it is given up
STOP_SECONDS = 5.0


class WorkerProcess:
    """Process of the worker.

    It uses the GPU, so it is not a fork of the server.
    The server holds the listening socket, so that evaluators that connect during a restart wait there.
    """

    def __init__(self, listener: socket.socket, models: Sequence[str], *, events: int = 1) -> None:
        self._listener = listener
        self._events = events  # descriptor of the session's event stream
        self._requested = list(models)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._inbox = message_stream.Inbox()
        self._failures = 0
        self.models: list[dict[str, Any]] = []
        self.ready = False
        self.restarts = 0
        self.given_up = False
        self.cause: str | None = None  # of its last death
        self._cause_file: int | None = None  # descriptor
        self._killed_before = 0

    @property
    def pid(self) -> int | None:
        """Its process number, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def control(self) -> socket.socket:
        """Socket for the worker's state; closed when the worker ends."""
        if self._control is None:
            raise RuntimeError("the worker was not started")
        return self._control

    def start(self) -> None:
        """Start it with the models requested at the start or loaded since."""
        ours, theirs = socket.socketpair()
        self._inbox, self._control, self.ready = message_stream.Inbox(), ours, False
        names = [word for name in self._models_to_load() for word in ("--model", name)]
        self._cause_file = os.memfd_create("cause")
        self._killed_before = process_stats.count_oom_kills()
        numbers = (self._listener.fileno(), theirs.fileno(), self._cause_file)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vldock.image.session.worker_main", *map(str, numbers), *names],
            pass_fds=numbers,
            stdout=self._events,
            start_new_session=True,  # the server handles signals to its process group
        )
        theirs.close()

    def _models_to_load(self) -> list[str]:
        loaded = [str(model["name"]) for model in self.models if model["state"] == "ready"]
        return list(dict.fromkeys([*self._requested, *loaded]))

    def receive_state(self) -> bool:
        """Read the states it sent; False at the end of the stream."""
        try:
            states: list[WorkerState] = self._inbox.feed(self.control)
        except (OSError, EOFError):
            return False
        for state in states:
            self.models, self.ready = state["models"], state["ready"]
            if self.ready:
                self._failures = 0
        return True

    def record_death(self, code: int) -> bool:
        """Record its end and the cause; return whether to restart it."""
        if self._cause_file is not None:
            out_of_memory = process_stats.count_oom_kills() > self._killed_before
            self.cause = read_cause(self._cause_file, code=code, out_of_memory=out_of_memory)
        self.clear()
        self.restarts += 1
        self._failures += 1
        self.given_up = self._failures >= ATTEMPTS
        if self.given_up:
            self._listener.close()  # evaluators are refused now, and load in process
        return not self.given_up

    def clear(self) -> None:
        """Reset the state of the ended process."""
        if self._cause_file is not None:
            os.close(self._cause_file)
            self._cause_file = None
        if self._process is not None:
            modules_folder.remove_of(self._process.pid)
        self._process, self.ready = None, False

    def close_inherited(self) -> None:
        """Close the server's descriptors, in a fork of it."""
        self._listener.close()
        if self._control is not None:
            self._control.close()
        if self._cause_file is not None:
            os.close(self._cause_file)

    def stop(self) -> None:
        """Terminate it and wait for its end; kill it after STOP_SECONDS."""
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
        modules_folder.remove_of(process.pid)
