"""An evaluator's connection to the worker.

It reconnects and retries when the worker is restarted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vldock.common.build_digest import read_build_digest
from vldock.common.errors import EvaluationFailed
from vldock.image.session import message_stream
from vldock.image.session.socket_paths import SocketPaths

if TYPE_CHECKING:
    from vldock.image.session.messages import AnswersRequest, SessionStatus, WorkerRequest

DEATHS = 2  # of the worker, at the same question
NOTICED, TICK = 2.0, 0.02  # seconds in which the server notices a death, and between two status requests
DEAD = (message_stream.Closed, BrokenPipeError, ConnectionResetError)


class WorkerDied(EvaluationFailed):
    """The worker died repeatedly at the same question.

    `cause` is that of the last time.
    """

    def __init__(self, over: str, cause: str) -> None:
        super().__init__(
            f"the session's worker died {DEATHS} times over {over}: {cause}",
            expected="an answer",
            hint="vldock session logs shows its end; --no-worker loads the model in this process",
        )
        self.cause = cause


class WorkerClient:
    """A connection to the worker, made again when the worker is restarted.

    `models`: the description and spec of each model in use, requested again after a restart.
    """

    def __init__(self, paths: SocketPaths, *, deaths: int) -> None:
        self._paths = paths
        self._deaths = deaths  # of the worker, as far as known here
        self._stream: message_stream.Stream | None = None
        self.models: dict[str, dict[str, Any]] = {}

    def ask(self, request: WorkerRequest) -> dict[str, Any]:
        """Return the answer to one request.

        The worker's log lines go to standard error.
        Raises the model's exceptions, WorkerDied when the request killed the worker twice, OSError without a worker.
        """
        cause = ""
        for death in range(DEATHS):
            try:
                stream = self._connected()
                stream.send(request)
                return self._next(stream)
            except DEAD:
                cause = self.record_death(retry=death + 1 < DEATHS)
        raise WorkerDied("this sample", cause)

    def stream(self, request: AnswersRequest) -> Iterator[dict[str, Any]]:
        """Yield the answers to one request until its end.

        There are no retries: the caller handles the worker's death.
        """
        stream = self._connected()
        stream.send(request)
        while "end" not in (answer := self._next(stream)):
            yield answer

    def record_death(self, *, retry: bool) -> str:
        """Drop the connection and return why the worker died."""
        self._stream, cause = None, self.cause()
        if retry:
            log(f"the worker died and is started again ({cause}): waiting for its model, then asking once more")
        return cause

    def cause(self) -> str:
        """Return why the worker died, polling the server until it has noticed."""
        end = time.monotonic() + NOTICED
        while time.monotonic() < end:
            try:
                stream = message_stream.connect(self._paths.runs)
                stream.send({"op": "status", "build": read_build_digest()})
                status: SessionStatus = stream.receive()
                stream.close()
            except OSError:
                break
            if status["worker_restarts"] > self._deaths or status["state"] == "failed":
                self._deaths = status["worker_restarts"]
                return str(status["worker_cause"])
            time.sleep(TICK)
        return "cause not known"

    def _connected(self) -> message_stream.Stream:
        if self._stream is None:
            self._stream = self._connect()
            for name, model in self.models.items():
                self._stream.send({"op": "model", "name": name, "spec": model["spec"]})
                answer = self._next(self._stream)
                if "declined" in answer:
                    raise EvaluationFailed(f"the worker cannot load {name} again: {answer['declined']}")
        return self._stream

    def _connect(self) -> message_stream.Stream:
        try:
            return message_stream.connect(self._paths.questions)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            if not self.models:
                raise
            raise EvaluationFailed(
                f"the session has no worker any more: it died at every start, the last time: {self.cause()}"
            ) from error

    def _next(self, stream: message_stream.Stream) -> dict[str, Any]:
        while True:
            answer: dict[str, Any] = stream.receive()
            if "say" in answer:
                log(answer["say"])
            elif "raised" in answer:
                raise answer["raised"]
            else:
                return answer


def log(line: str) -> None:
    """Print one line to the client's standard error."""
    print(f"session: {line}", file=sys.stderr, flush=True)
