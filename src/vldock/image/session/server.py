"""Server of a session: an event loop with an evaluator per run.

Each evaluator is a fork.
It supervises the worker, and ends when stopped or idle.
One thread, so that it may fork at any time. VLMEvalKit is imported once, here, and the GPU never touched: an evaluator
is a fork and inherits both.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vldock.common.build_digest import read_build_digest
from vldock.image.events import Emit
from vldock.image.process import stats as process_stats
from vldock.image.session.clients import Client, ClientConnections
from vldock.image.session.evaluator_pool import EvaluatorPool, RunEvaluator
from vldock.image.session.socket_paths import SocketPaths
from vldock.image.session.worker_process import WorkerProcess

if TYPE_CHECKING:
    from vldock.image.session.messages import ControlRequest, RunRequest, ServerRequest, SessionStatus

TICK = 1.0  # seconds


class Server:
    """Event loop of a session.

    `run_evaluator` turns a fork into an evaluator and does not return.
    """

    def __init__(
        self,
        paths: SocketPaths,
        *,
        lock: int,
        worker: WorkerProcess,
        run_evaluator: RunEvaluator,
        emit: Emit,
        idle_limit: float | None,
    ) -> None:
        self._paths = paths
        self._lock = lock
        self._worker = worker
        self._emit = emit
        self._evaluators = EvaluatorPool(run=run_evaluator, close_inherited=self._close_inherited, emit=emit)
        self._idle_limit = idle_limit
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._clients = ClientConnections(
            paths.runs, self._selector, on_message=self._handle, on_close=self._client_gone, emit=emit
        )
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._active = time.monotonic()
        self._stopping = False
        self._build = read_build_digest()

    def run(self) -> int:
        """Serve until a signal, `stop` or idleness; return the exit status."""
        wakeup = signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop("signal"))
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to write to the wake-up pipe
        self._selector.register(self._wake, selectors.EVENT_READ, lambda wake: os.read(wake, 4096))
        self._watch_worker()
        try:
            while not (self._stopping and not self._evaluators.running):
                for key, _ in self._selector.select(TICK):
                    key.data(key.fileobj)
                self._reap()
                self._tick()
                if self._worker.ready and not self._stopping:
                    self._evaluators.fork_spare()
        finally:
            signal.set_wakeup_fd(wakeup)
            self._close()
        return 0

    def stop(self, why: str) -> None:
        """Stop the session: accept no more runs.

        Running ones are interrupted; the loop ends when they have ended.
        """
        if self._stopping:
            return
        self._stopping = True
        self._evaluators.close_spare()
        self._emit("stopping", why=why, running=len(self._evaluators.running))
        for client in self._evaluators.running:
            self._evaluators.interrupt(client)

    def status(self) -> SessionStatus:
        """Return the output of `session status --json`."""
        running = [client.run_state() for client in self._evaluators.running]
        worker = self._worker
        state = "stopping" if self._stopping else "ready" if worker.ready else "starting"
        return {
            "state": "failed" if worker.given_up else state,
            "pid": os.getpid(),
            "started": self._started,
            "idle_seconds": 0.0 if running else round(time.monotonic() - self._active, 1),
            "idle_limit": self._idle_limit,
            "socket": self._paths.runs,
            "models": worker.models,
            "running": running,
            "evals": self._evaluators.count,
            "worker_pid": worker.pid,
            "worker_restarts": worker.restarts,
            "worker_cause": worker.cause,
            "rss_bytes": process_stats.resident_memory(os.getpid()) + process_stats.resident_memory(worker.pid),
        }

    def _handle(self, client: Client, message: ServerRequest) -> None:
        if message["op"] == "signal":
            self._evaluators.signal(client, int(message["number"]))
        elif reason := self._foreign_build(message):
            client.reply({"declined": reason})
        elif message["op"] == "run":
            self._start(client, message)
        elif message["op"] == "status":
            client.reply(self.status())
        elif message["op"] == "cancel":
            named = [other for other in self._evaluators.running if other.run_id == message.get("id")]
            for other in named:
                self._evaluators.interrupt(other)
            client.reply({"cancelled": len(named)})
        elif message["op"] == "stop":
            client.reply({"stopping": True, "running": len(self._evaluators.running)})
            self.stop("asked")

    def _foreign_build(self, message: RunRequest | ControlRequest) -> str | None:
        """Return why a message from another image is declined.

        Another image would evaluate, and sign the passport.
        """
        theirs = message.get("build")
        if theirs == self._build:
            return None
        return f"the session is of another image (build {_short(self._build)}, this one is {_short(theirs)})"

    def _start(self, client: Client, request: RunRequest) -> None:
        descriptors = client.inbox.take_descriptors()
        if self._stopping:
            client.reply({"declined": "the session is ending"})
        else:
            request["worker_deaths"] = self._worker.restarts
            self._evaluators.start(client, request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def _client_gone(self, client: Client) -> None:
        """Interrupt the run of a disconnected client.

        The run's predictions so far are saved.
        """
        if client.child is None:
            self._clients.drop(client)
        else:
            self._evaluators.interrupt(client)

    def _close_inherited(self, client: Client | None) -> None:
        """Close, in a fork, the descriptors of the server and other clients."""
        self._evaluators.close_spare()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._clients.close_inherited(client)
        self._worker.close_inherited()
        for descriptor in (self._wake, self._woken, self._lock):
            os.close(descriptor)

    def _reap(self) -> None:
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            if child == self._worker.pid:
                self._worker_ended(status)
                continue
            client = self._evaluators.record_end(child, status)
            self._active = time.monotonic()
            if client is not None and client.gone:
                self._clients.drop(client)

    def _tick(self) -> None:
        now = time.monotonic()
        self._evaluators.kill_overdue()
        if self._evaluators.running:
            self._active = now
        elif self._idle_limit is not None and now - self._active > self._idle_limit and not self._stopping:
            self._emit("idle_stop", seconds=round(now - self._active, 1))
            self.stop("idle")

    def _watch_worker(self) -> None:
        self._selector.register(self._worker.control, selectors.EVENT_READ, self._read_worker)

    def _read_worker(self, control: Any) -> None:
        before = self._worker.ready
        if not self._worker.receive_state():
            self._selector.unregister(control)
        if self._worker.ready and not before:  # emitted here: this loop accepts runs already
            self._emit("ready", models=[model["name"] for model in self._worker.models if model["state"] == "ready"])

    def _worker_ended(self, status: int) -> None:
        worker = self._worker
        if worker.control in self._selector.get_map():
            self._selector.unregister(worker.control)
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            worker.clear()
            return
        restart = worker.record_death(code)
        name = "worker_restart" if restart else "worker_failed"
        self._emit(name, exit=code, cause=worker.cause, restarts=worker.restarts)
        if restart:
            worker.start()
            self._watch_worker()

    def _close(self) -> None:
        self._worker.stop()
        self._selector.close()
        self._clients.close_listener()
        for path in (self._paths.runs, self._paths.questions):
            Path(path).unlink(missing_ok=True)


def _short(build: str | None) -> str:
    return build[:12] if build else "not known"
