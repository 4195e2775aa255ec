"""The worker, which holds the models and answers the evaluators' questions in turn.

The main thread computes, one question or one batch of one client after that of another; a second thread hears and
answers.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from vldock.common.errors import UsageError
from vldock.image.session.fair_queue import FairQueue
from vldock.image.session.loaded_models import LoadedModel, LoadedModels
from vldock.image.session.worker_failure import one_line
from vldock.image.session.worker_listener import Connection, WorkerListener

TELL_SECONDS = 1.0
DEVICE_LOST = 70  # exit status: the GPU's context is of no more use, start me again
LOST_SIGNS = ("CUDA error", "device-side assert", "unspecified launch failure", "CUBLAS_STATUS_EXECUTION_FAILED")


class SessionWorker:
    """Takes requests in turn and answers them."""

    def __init__(self, listener: socket.socket, *, emit: Any, die: Callable[..., NoReturn]) -> None:
        self.turns: FairQueue[Connection, Any] = FairQueue()
        self._emit, self._die = emit, die
        self._wants: dict[Connection, set[str]] = {}
        self._ready = False
        self._told = 0.0
        self.counter = WorkerListener(
            listener, heard=self.turns.put, left=self._left, ended=lambda: os._exit(0), failed=self._die
        )
        self.shelf = LoadedModels(emit=emit, busy=self._busy, changed=self._tell)

    def run(self, control: socket.socket, names: list[str]) -> None:
        """Load the models, then answer for ever."""
        self.counter.start(control)
        for name in names:
            try:
                self.shelf.get(name, say=lambda line: self._emit("say", line=line))
            except Exception as error:  # noqa: BLE001  told by the shelf; the others and later requests go on
                print(f"{name}: {error}", file=sys.stderr, flush=True)
                self._leave_if_lost(error)
        self._ready = True
        self._tell()
        while True:
            self._turn(*self.turns.take())
            if time.monotonic() - self._told > TELL_SECONDS:
                self._tell()

    def _turn(self, guest: Connection, request: Any) -> None:
        if guest.gone:
            return
        try:
            if isinstance(request, Iterator):
                self._step(guest, request)
            else:
                getattr(self, f"_{request['op']}")(guest, request)
        except Exception as error:  # noqa: BLE001  whatever a model raises is its evaluator's to report
            self.counter.post(guest, {"raised": portable(error)})
            self._leave_if_lost(error)

    def _model(self, guest: Connection, request: dict[str, Any]) -> None:
        """Describe a model, loaded where it is not, or decline: another revision, other arguments, no room."""
        name = request["name"]
        try:
            held = self.shelf.get(name, say=lambda line: self.counter.post(guest, {"say": line}))
        except Exception as error:  # noqa: BLE001  told to whoever asked, who may load it in its own process
            self.counter.post(guest, {"declined": f"{name} cannot be loaded in the worker: {one_line(error)}"})
            self._leave_if_lost(error)
            return
        if phrases := _differences(held.spec, request["spec"]):
            self.counter.post(guest, {"declined": f"{name} is loaded with {'; '.join(phrases)}"})
            return
        self._wants.setdefault(guest, set()).add(name)
        self.counter.post(guest, held.description())

    def _call(self, guest: Connection, request: dict[str, Any]) -> None:
        from vldock.image.engines import memoized_tower
        from vldock.image.vlmeval_hooks.provenance import prompts

        held = self._held(request["model"])
        with prompts.worded(request["prompt"]), prompts.noted() as note, memoized_tower.memoized(held.model):
            value = getattr(held.model, request["method"])(**request["arguments"])
        held.answers += 1
        self.counter.post(guest, {"value": value, "note": note})

    def _answers(self, guest: Connection, request: dict[str, Any]) -> None:
        from vldock.image import engines

        held = self._held(request["model"])
        os.environ.update(request["env"])
        engine = engines.engine_of(held.model)
        if engine is None:
            raise UsageError(f"{held.name} has no batched engine", hint="--engine stock")
        self.turns.again(guest, self._each(held, engine.answers(request["questions"])))

    def _each(self, held: LoadedModel, answers: Iterator[Any]) -> Iterator[dict[str, Any]]:
        for answer in answers:
            held.answers += 1
            yield {"answer": answer}
        yield {"end": True}

    def _step(self, guest: Connection, answers: Iterator[dict[str, Any]]) -> None:
        """Send the answers that were found together, and let the others have their turn."""
        for answer in answers:
            self.counter.post(guest, answer)
            if "end" in answer:
                return
            if not answer["answer"].more:
                break
        self.turns.again(guest, answers)

    def _load(self, guest: Connection, request: dict[str, Any]) -> None:
        held = self.shelf.get(request["name"], say=lambda line: self.counter.post(guest, {"say": line}))
        self.counter.post(guest, {"loaded": held.state()})

    def _unload(self, guest: Connection, request: dict[str, Any]) -> None:
        busy = request["name"] in self._busy()
        self.counter.post(guest, {"unloaded": not busy and self.shelf.unload(request["name"]), "busy": busy})

    def _held(self, name: str) -> LoadedModel:
        return self.shelf.get(name, say=lambda line: self._emit("say", line=line))

    def _busy(self) -> set[str]:
        return set().union(*list(self._wants.values()))

    def _left(self, guest: Connection) -> None:
        self._wants.pop(guest, None)
        self.turns.drop(guest)
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        if self.counter.control is not None:
            self.counter.post(self.counter.control, {"models": self.shelf.states(), "ready": self._ready})

    def _leave_if_lost(self, error: Exception) -> None:
        if any(sign in str(error) for sign in LOST_SIGNS):
            self._emit("device_lost", error=str(error))
            self._die(error, DEVICE_LOST)


def _differences(held: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return 'revision A, not B' for what differs; what either side does not know equals any."""
    names = [name for name in wanted if None not in (held.get(name), wanted[name]) and held.get(name) != wanted[name]]
    return [f"{name} {held.get(name)}, not {wanted[name]}" for name in names]


def portable(error: Exception) -> Exception:
    """Return the error itself where it can travel, else one with its type and text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  exceptions with constructors of their own fail in many ways
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
