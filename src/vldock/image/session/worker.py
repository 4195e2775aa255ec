"""Worker of a session: holds the models, answers evaluators in turn.

The main thread computes, one question or one batch of one client after that of another; the listener's thread receives
and sends.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from vldock.common.errors import UsageError
from vldock.image.session.fair_queue import FairQueue
from vldock.image.session.loaded_models import LoadedModel, LoadedModels
from vldock.image.session.worker_failure import one_line
from vldock.image.session.worker_listener import Connection, WorkerListener

if TYPE_CHECKING:
    from vldock.image.answering.types import Answer
    from vldock.image.session.messages import (
        AnswersRequest,
        CallRequest,
        LoadRequest,
        ModelRequest,
        StreamedAnswer,
        WorkerAnswer,
    )

REPORT_SECONDS = 1.0
DEVICE_LOST = 70  # exit status: the CUDA context is unusable, restart the worker
LOST_SIGNS = ("CUDA error", "device-side assert", "unspecified launch failure", "CUBLAS_STATUS_EXECUTION_FAILED")


class SessionWorker:
    """Worker of a session: answers requests in turn.

    The method `_OP` answers a request with that "op" (messages.py).
    """

    def __init__(self, listener: socket.socket, *, emit: Any, die: Callable[..., NoReturn]) -> None:
        self._queue: FairQueue[Connection, Any] = FairQueue()
        self._emit, self._die = emit, die
        self._used: dict[Connection, set[str]] = {}  # models by evaluator
        self._ready = False
        self._reported = 0.0
        self._listener = WorkerListener(
            listener,
            on_message=self._queue.put,
            on_close=self._client_gone,
            on_server_end=lambda: os._exit(0),
            on_error=self._die,
        )
        self._models = LoadedModels(emit=emit, busy=self._busy, on_change=self._report)

    def run(self, control: socket.socket, names: list[str]) -> NoReturn:
        """Load the models, then answer requests forever."""
        self._listener.start(control)
        for name in names:
            try:
                self._get(name)
            except Exception as error:  # noqa: BLE001  reported by LoadedModels; other models and requests go on
                print(f"{name}: {error}", file=sys.stderr, flush=True)
                self._exit_if_device_lost(error)
        self._ready = True
        self._report()
        while True:
            self._serve(*self._queue.take())
            if time.monotonic() - self._reported > REPORT_SECONDS:
                self._report()

    def _serve(self, client: Connection, request: Any) -> None:
        if client.gone:
            return
        try:
            if isinstance(request, Iterator):
                self._continue(client, request)
            else:
                getattr(self, f"_{request['op']}")(client, request)
        except Exception as error:  # noqa: BLE001  the evaluator reports whatever the model raises
            self._post(client, {"raised": portable(error)})
            self._exit_if_device_lost(error)

    def _model(self, client: Connection, request: ModelRequest) -> None:
        """Describe a model, loaded if needed, or decline the request.

        Reasons: another revision, other arguments, or too little memory.
        """
        name = request["name"]
        try:
            loaded = self._get(name, client)
        except Exception as error:  # noqa: BLE001  the evaluator may load it in its own process
            self._post(client, {"declined": f"{name} cannot be loaded in the worker: {one_line(error)}"})
            self._exit_if_device_lost(error)
            return
        if phrases := _differences(loaded.spec, request["spec"]):
            self._post(client, {"declined": f"{name} is loaded with {'; '.join(phrases)}"})
            return
        self._used.setdefault(client, set()).add(name)
        self._post(client, loaded.description())

    def _call(self, client: Connection, request: CallRequest) -> None:
        from vldock.image.engines import memoized_tower
        from vldock.image.vlmeval_hooks.provenance import prompts

        loaded = self._get(request["model"])
        with prompts.use_template(request["prompt"]), prompts.capture() as note, memoized_tower.memoized(loaded.model):
            value = getattr(loaded.model, request["method"])(**request["arguments"])
        loaded.answers += 1
        self._post(client, {"value": value, "note": note})

    def _answers(self, client: Connection, request: AnswersRequest) -> None:
        from vldock.image import engines

        loaded = self._get(request["model"])
        os.environ.update(request["env"])
        engine = engines.engine_of(loaded.model, loaded.name)
        if engine is None:
            raise UsageError(f"{loaded.name} has no batched engine", hint="--engine stock")
        self._queue.put_back(client, _streamed(loaded, engine.answers(request["questions"])))

    def _continue(self, client: Connection, answers: Iterator[StreamedAnswer]) -> None:
        """Send the next batch of answers, then yield to other clients."""
        for answer in answers:
            self._post(client, answer)
            if not answer["answer"].more:
                self._queue.put_back(client, answers)
                return
        self._post(client, {"end": True})

    def _load(self, client: Connection, request: LoadRequest) -> None:
        self._post(client, {"loaded": self._get(request["name"], client).state()})

    def _unload(self, client: Connection, request: LoadRequest) -> None:
        busy = request["name"] in self._busy()
        self._post(client, {"unloaded": not busy and self._models.unload(request["name"]), "busy": busy})

    def _get(self, name: str, client: Connection | None = None) -> LoadedModel:
        """Return a model, loaded if needed.

        The memory a load needs is logged to the client, else as an event.
        """
        if client is None:
            return self._models.get(name, log=lambda line: self._emit("say", line=line))
        return self._models.get(name, log=lambda line: self._post(client, {"say": line}))

    def _post(self, client: Connection, message: WorkerAnswer) -> None:
        self._listener.post(client, message)

    def _busy(self) -> set[str]:
        return set().union(*list(self._used.values()))

    def _client_gone(self, client: Connection) -> None:
        self._used.pop(client, None)
        self._queue.drop(client)
        self._report()

    def _report(self) -> None:
        """Send the models' states to the server."""
        self._reported = time.monotonic()
        if self._listener.control is not None:
            self._post(self._listener.control, {"models": self._models.states(), "ready": self._ready})

    def _exit_if_device_lost(self, error: Exception) -> None:
        if any(sign in str(error) for sign in LOST_SIGNS):
            self._emit("device_lost", error=str(error))
            self._die(error, DEVICE_LOST)


def _streamed(loaded: LoadedModel, answers: Iterator[Answer]) -> Iterator[StreamedAnswer]:
    for answer in answers:
        loaded.answers += 1
        yield {"answer": answer}


def _differences(loaded: dict[str, Any], requested: dict[str, Any]) -> list[str]:
    """Return 'revision A, not B' for each difference.

    A value unknown on either side equals any.
    """
    names = [
        name
        for name in requested
        if None not in (loaded.get(name), requested[name]) and loaded.get(name) != requested[name]
    ]
    return [f"{name} {loaded.get(name)}, not {requested[name]}" for name in names]


def portable(error: Exception) -> Exception:
    """Return an error that can be pickled.

    The error itself if it can be, else a RuntimeError with its type and text.
    """
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  exceptions with constructors of their own fail in many ways
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
