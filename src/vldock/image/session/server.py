"""The session's server: listens, has an evaluator forked for each run, keeps the worker alive, ends when nobody asks.

One thread, so that it may fork at any time; VLMEvalKit is imported once, here, and never a GPU touched: an evaluator is
a fork and inherits both.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common.build_digest import read_build_digest
from vldock.common.errors import EnvironmentUnfit, VldockError
from vldock.image.events import Emit
from vldock.image.process import stats as process_stats
from vldock.image.session import messages as wire
from vldock.image.session.evaluator_pool import Become, Client, EvaluatorPool
from vldock.image.session.socket_paths import SocketPaths
from vldock.image.session.worker_process import WorkerProcess

TICK = 1.0  # seconds
BACKLOG = 128


def listen(path: os.PathLike[str]) -> socket.socket:
    """Return a listening socket at `path`, in place of what a dead session left there; the caller holds the lock."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.path.lexists(path):
        os.unlink(path)  # noqa: PTH108  a path-like of any kind
    listener.bind(os.fspath(path))
    os.chmod(path, 0o600)  # noqa: PTH101
    listener.listen(BACKLOG)
    return listener


def hold(place: SocketPaths) -> int:
    """Return the descriptor of the session's lock, held; raises EnvironmentUnfit where another session holds it."""
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise EnvironmentUnfit(
            f"a session of this user is here already ({place.folder})",
            expected="one session for each user of a container",
            hint="python -m vldock.image session status",
        ) from error
    return descriptor


def _short(build: str | None) -> str:
    return build[:12] if build else "not known"


class Server:
    """The loop; `become` turns a fork into an evaluator and does not return."""

    def __init__(
        self,
        place: SocketPaths,
        *,
        lock: int,
        worker: WorkerProcess,
        become: Become,
        emit: Emit,
        idle_limit: float | None,
    ) -> None:
        self.place = place
        self._lock = lock
        self.worker = worker
        self._emit = emit
        self._evaluations = EvaluatorPool(become=become, leave=self._leave_to, emit=emit)
        self._idle_limit = idle_limit
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._listener = listen(place.runs)
        self._clients: dict[socket.socket, Client] = {}
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._active = time.monotonic()
        self._stopping = False
        self._build = read_build_digest()

    def run(self) -> int:
        """Serve until a signal, `stop` or idleness ends it; return the exit status."""
        self._listener.setblocking(False)
        kept = signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop("signal"))
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to write to the wake-up pipe
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake, selectors.EVENT_READ, self._drain)
        self._hear_from_worker()
        try:
            while not (self._stopping and not self._evaluations.running):
                for key, _ in self._selector.select(TICK):
                    key.data(key.fileobj)
                self._reap()
                self._tick()
                if self.worker.ready and not self._stopping:
                    self._evaluations.keep_spare()
        finally:
            signal.set_wakeup_fd(kept)
            self._close()
        return 0

    def stop(self, why: str) -> None:
        """Take no more runs, ask those that run to end, and leave the loop when they have."""
        if self._stopping:
            return
        self._stopping = True
        self._evaluations.forget_spare()
        self._emit("stopping", why=why, running=len(self._evaluations.running))
        for client in self._evaluations.running:
            self._evaluations.hang_up(client)

    def status(self) -> dict[str, Any]:
        """Return what `session status --json` prints."""
        running = [client.told() for client in self._evaluations.running]
        state = "stopping" if self._stopping else "ready" if self.worker.ready else "starting"
        return {
            "state": "failed" if self.worker.given_up else state,
            "pid": os.getpid(),
            "started": self._started,
            "idle_seconds": 0.0 if running else round(time.monotonic() - self._active, 1),
            "idle_limit": self._idle_limit,
            "socket": str(self.place.runs),
            "models": self.worker.models,
            "running": running,
            "evals": self._evaluations.count,
            "worker_pid": self.worker.pid,
            "worker_restarts": self.worker.restarts,
            "worker_cause": self.worker.cause,
            "rss_bytes": process_stats.resident_memory(os.getpid()) + process_stats.resident_memory(self.worker.pid),
        }

    def _accept(self, _listener: Any) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return
        try:
            wire.require_same_user(connection)
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
            self._lost(client)
            return
        for message in messages:
            self._take(client, message)

    def _take(self, client: Client, message: dict[str, Any]) -> None:
        operation = message.get("op")
        if operation != "signal" and (reason := self._foreign(message)):
            client.answer({"declined": reason})
        elif operation == "run":
            self._start(client, message)
        elif operation == "signal":
            self._evaluations.signal(client, int(message["number"]))
        elif operation == "status":
            client.answer(self.status())
        elif operation == "cancel":
            found = [one for one in self._evaluations.running if one.request["id"] == message.get("id")]
            for one in found:
                self._evaluations.hang_up(one)
            client.answer({"cancelled": len(found)})
        elif operation == "stop":
            client.answer({"stopping": True, "running": len(self._evaluations.running)})
            self.stop("asked")

    def _foreign(self, message: dict[str, Any]) -> str | None:
        """Return why a message is not for this session: another image would evaluate, and sign the passport."""
        theirs = message.get("build")
        if theirs == self._build:
            return None
        return f"the session is of another image (build {_short(self._build)}, this one is {_short(theirs)})"

    def _start(self, client: Client, request: dict[str, Any]) -> None:
        descriptors = client.inbox.take_descriptors()
        if self._stopping:
            client.answer({"declined": "the session is ending"})
        else:
            request["worker_deaths"] = self.worker.restarts
            self._evaluations.start(client, request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def _leave_to(self, client: Client | None) -> None:
        """In a fork: close what is the server's and other clients'."""
        self._evaluations.forget_spare()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._listener.close()
        self.worker.forget()
        for descriptor in (self._wake, self._woken, self._lock):
            os.close(descriptor)
        for other in self._clients.values():
            if other is not client:
                other.connection.close()

    def _reap(self) -> None:
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            if child == self.worker.pid:
                self._worker_ended(status)
                continue
            client = self._evaluations.ended(child, status)
            self._active = time.monotonic()
            if client is not None and client.gone:
                self._forget(client)

    def _lost(self, client: Client) -> None:
        """The other end is gone: what runs for it ends too, and keeps what it has predicted."""
        self._selector.unregister(client.connection)
        client.gone = True
        if client.child is None:
            self._forget(client)
        else:
            self._evaluations.hang_up(client)

    def _forget(self, client: Client) -> None:
        client.close()
        self._clients.pop(client.connection, None)

    def _tick(self) -> None:
        now = time.monotonic()
        self._evaluations.kill_overdue()
        if self._evaluations.running:
            self._active = now
        elif self._idle_limit is not None and now - self._active > self._idle_limit and not self._stopping:
            self._emit("idle_stop", seconds=round(now - self._active, 1))
            self.stop("idle")

    def _hear_from_worker(self) -> None:
        self._selector.register(self.worker.control, selectors.EVENT_READ, self._hear_worker)

    def _hear_worker(self, control: Any) -> None:
        before = self.worker.ready
        if not self.worker.hear():
            self._selector.unregister(control)
        if self.worker.ready and not before:  # told here, for whoever hears it may begin: this loop takes runs, too
            self._emit("ready", models=[model["name"] for model in self.worker.models if model["state"] == "ready"])

    def _worker_ended(self, status: int) -> None:
        if self.worker.control in self._selector.get_map():
            self._selector.unregister(self.worker.control)
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            self.worker.gone()
            return
        again, worker = self.worker.died(code), self.worker
        name = "worker_restart" if again else "worker_failed"
        self._emit(name, exit=code, cause=worker.cause, restarts=worker.restarts)
        if again:
            self.worker.start()
            self._hear_from_worker()

    def _drain(self, descriptor: Any) -> None:
        os.read(descriptor, 4096)

    def _close(self) -> None:
        self.worker.stop()
        self._selector.close()
        self._listener.close()
        for path in (self.place.runs, self.place.questions):
            Path(path).unlink(missing_ok=True)
