"""An evaluator's line to the worker: made again when the worker was, what had no answer asked once more."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from vldock.common.errors import EvaluationFailed
from vldock.image.session import wire
from vldock.image.session.place import Place

DEATHS = 2  # of the worker, at one and the same question
DEAD = (wire.Closed, BrokenPipeError, ConnectionResetError)


class Link:
    """A connection to the worker that is made again when the worker was, and asks again what had no answer."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stream: wire.Stream | None = None
        self.described: dict[str, dict[str, Any]] = {}

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to one request; lines the worker says meanwhile go to standard error.

        Raises what the model raised, EvaluationFailed when the worker died twice over it, OSError without a worker.
        """
        for death in range(DEATHS):
            try:
                stream = self._connected()
                stream.send(request)
                return self._next(stream)
            except DEAD:
                self.lost(again=death + 1 < DEATHS)
        raise EvaluationFailed(
            f"the session's worker died {DEATHS} times over this sample",
            expected="an answer",
            hint="vldock session logs shows its end; --no-worker loads the model in this process",
        )

    def stream(self, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the answers to one request until its end, in one go: a worker's death is the caller's to handle."""
        stream = self._connected()
        stream.send(request)
        while "end" not in (answer := self._next(stream)):
            yield answer

    def lost(self, *, again: bool) -> None:
        """Note that the worker died."""
        self._stream = None
        if again:
            say("the worker died and is started again: waiting for its model, then asking once more")

    def _connected(self) -> wire.Stream:
        if self._stream is None:
            self._stream = self._connection()
            for name, described in self.described.items():
                self._stream.send({"op": "model", "name": name, "spec": described["spec"]})
                answer = self._next(self._stream)
                if "declined" in answer:
                    raise EvaluationFailed(f"the worker cannot load {name} again: {answer['declined']}")
        return self._stream

    def _connection(self) -> wire.Stream:
        try:
            return wire.connect(self._place.questions)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            if not self.described:
                raise
            raise EvaluationFailed("the session has no worker any more: it died at every start") from error

    def _next(self, stream: wire.Stream) -> dict[str, Any]:
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
