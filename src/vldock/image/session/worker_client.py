"""An evaluator's line to the worker: made again when the worker was, what had no answer asked once more."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from vldock.common.build_digest import read_build_digest
from vldock.common.errors import EvaluationFailed
from vldock.image.session import messages
from vldock.image.session.socket_paths import SocketPaths

DEATHS = 2  # of the worker, at one and the same question
NOTICED, TICK = 2.0, 0.02  # seconds in which the server knows of a death, and between two questions to it
DEAD = (messages.Closed, BrokenPipeError, ConnectionResetError)


class WorkerDied(EvaluationFailed):
    """The worker died at the same question again and again; `cause` is the last time's."""

    def __init__(self, over: str, cause: str) -> None:
        super().__init__(
            f"the session's worker died {DEATHS} times over {over}: {cause}",
            expected="an answer",
            hint="vldock session logs shows its end; --no-worker loads the model in this process",
        )
        self.cause = cause


class WorkerClient:
    """A connection to the worker that is made again when the worker was, and asks again what had no answer."""

    def __init__(self, place: SocketPaths, *, deaths: int) -> None:
        self._place = place
        self._deaths = deaths  # of the worker that are known here
        self._stream: messages.Stream | None = None
        self.described: dict[str, dict[str, Any]] = {}

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; lines the worker says meanwhile go to standard error.

        Raises what the model raised, WorkerDied when the worker died twice over it, OSError without a worker.
        """
        cause = ""
        for death in range(DEATHS):
            try:
                stream = self._connected()
                stream.send(request)
                return self._next(stream)
            except DEAD:
                cause = self.lost(again=death + 1 < DEATHS)
        raise WorkerDied("this sample", cause)

    def stream(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the answers to one request until its end, in one go: a worker's death is the caller's to handle."""
        stream = self._connected()
        stream.send(request)
        while "end" not in (answer := self._next(stream)):
            yield answer

    def lost(self, *, again: bool) -> str:
        """Note that the worker died, and return why."""
        self._stream, cause = None, self.cause()
        if again:
            say(f"the worker died and is started again ({cause}): waiting for its model, then asking once more")
        return cause

    def cause(self) -> str:
        """Return why the worker died, as the server tells once it has noticed: we may be the first to."""
        end = time.monotonic() + NOTICED
        while time.monotonic() < end:
            try:
                stream = messages.connect(self._place.runs)
                stream.send({"op": "status", "build": read_build_digest()})
                told = stream.receive()
                stream.close()
            except OSError:
                break
            if told["worker_restarts"] > self._deaths or told["state"] == "failed":
                self._deaths = told["worker_restarts"]
                return str(told["worker_cause"])
            time.sleep(TICK)
        return "cause not known"

    def _connected(self) -> messages.Stream:
        if self._stream is None:
            self._stream = self._connection()
            for name, described in self.described.items():
                self._stream.send({"op": "model", "name": name, "spec": described["spec"]})
                answer = self._next(self._stream)
                if "declined" in answer:
                    raise EvaluationFailed(f"the worker cannot load {name} again: {answer['declined']}")
        return self._stream

    def _connection(self) -> messages.Stream:
        try:
            return messages.connect(self._place.questions)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            if not self.described:
                raise
            raise EvaluationFailed(
                f"the session has no worker any more: it died at every start, the last time: {self.cause()}"
            ) from error

    def _next(self, stream: messages.Stream) -> dict[str, Any]:
        while True:
            answer: dict[str, Any] = stream.receive()
            if "say" in answer:
                say(answer["say"])
            elif "raised" in answer:
                raise answer["raised"]
            else:
                return answer


def say(line: str) -> None:
    """Tell the person at the client one line."""
    print(f"session: {line}", file=sys.stderr, flush=True)
