"""Start of a session: container, loading, removal on failure."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError, VldockError
from vldock.host.containers.cleanup import end_container
from vldock.host.containers.lifecycle import ATTACH, Container, Exit, Line, create
from vldock.host.containers.spec import Spec, restart_policy
from vldock.host.runs.events import Event, Sink, event, parse
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.find import Session
from vldock.host.util.signals import signals_interrupt

TAIL_LINES = 12
BY_CODE: dict[int, type[VldockError]] = {2: UsageError, 3: EnvironmentUnfit, 4: InputRefused}


class Followed(Protocol):
    """Interface `follow` needs of a container; lifecycle.Container has it."""

    def lines(self) -> Iterator[Line | None]:
        """Yield lines, and None in silence."""

    def wait(self) -> Exit:
        """Return how it ended."""


@dataclass
class Loading:
    """Progress of a starting session: models, last lines, and how it ended."""

    ready: bool = False
    failed: dict[str, str] = field(default_factory=dict)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    exit: Exit | None = None
    late: float | None = None
    cause: str | None = None

    def problem(self) -> str | None:
        """Return in one line why the session is unusable, or None."""
        if self.failed:
            return "not loaded: " + "; ".join(f"{model}: {why}" for model, why in self.failed.items())
        if self.exit is not None:
            return f"its container ended while it loaded: {self.exit}"
        died = f"; its worker died: {self.cause}" if self.cause else ""
        return f"not ready after {self.late:.0f} s{died}" if self.late is not None else None

    def error_class(self) -> type[VldockError]:
        """Return the error class of the container's exit code.

        None means that the code is none of vldock's.
        """
        return BY_CODE.get(self.exit.code if self.exit else 1, VldockError)


def refuse_taken_name(session: Session | None) -> None:
    """Raise UsageError for an existing session, with its state and the next command."""
    if session is None:
        return
    name = "" if session.name == session_spec.DEFAULT else f" {session.name}"
    models = f" with {', '.join(session.models)}" if session.models else ""
    use = f"vldock session eval{name} --data ...; or vldock session stop{name}"
    again = f"vldock session logs{name} --tail 20; vldock session stop{name} removes it"
    raise UsageError(
        f"there is a session {session.name} already: "
        f"container {session.container} is {session.describe_state()}{models}",
        hint=use if session.runs else again,
    )


def start(
    client: Any,
    spec: Spec,
    *,
    show: Sink,
    seconds: float,
    keep_failed: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Session:
    """Start a session and return it when it is ready.

    Ctrl-C, SIGTERM and any failure remove its container (except a failed one with `keep_failed`). The restart policy is
    set when it is ready, so that a start that fails is not repeated. Raises UsageError, EnvironmentUnfit, InputRefused
    or VldockError, by the container's exit code, with its last lines.
    """
    handle = create(client, replace(spec, restart=None))
    try:
        with signals_interrupt(), start_attached(client, handle) as container:
            loading = follow(container, requested=requested_models(spec), show=show, seconds=seconds, clock=clock)
        if (problem := loading.problem()) is not None:
            raise _failed(handle, problem, loading, kept=keep_failed)
        if spec.restart:
            handle.update(restart_policy=restart_policy(spec.restart))
    except BaseException as error:
        if not (keep_failed and isinstance(error, VldockError)):
            end_container(handle)
        raise
    handle.reload()
    return Session.of(handle)


def requested_models(spec: Spec) -> tuple[str, ...]:
    """Return the models a session is to load at its start."""
    return tuple(filter(None, spec.marks.get(session_spec.MODELS_LABEL, "").split(",")))


@contextmanager
def start_attached(client: Any, handle: Any) -> Iterator[Container]:
    """Start a container and yield it with its output from the first line.

    It runs on afterwards.
    """
    line = client.api.attach_socket(handle.id, ATTACH)
    wire = getattr(line, "_sock", line)  # of a file over a socket, the socket: only that can hang up while it is read
    container = Container(handle, line)
    try:
        container.start()
        yield container
    finally:
        with contextlib.suppress(OSError):  # it hung up itself: the container ended
            wire.shutdown(socket.SHUT_RDWR)
        container.join()


def follow(
    container: Followed, *, requested: Sequence[str], show: Sink, seconds: float, clock: Callable[[], float]
) -> Loading:
    """Follow a starting session until it is ready, ends, or `seconds` pass.

    Events go to `show`.
    """
    loading, began = Loading(), clock()
    for line in container.lines():
        item = parse(line.text) if line is not None else None  # the worker's come on standard error
        if item is None and line is not None and line.text.strip():
            loading.tail.append(line.text.strip())
        show(item or event("silence"))
        if item is not None:
            apply_event(item, loading, requested=requested)
        if loading.ready:
            return loading
        if (late := clock() - began) > seconds:
            loading.late = late
            return loading
    loading.exit = container.wait()
    return loading


def death_cause(item: Event) -> str:
    """Return the cause in an event of the worker's death."""
    return str(item.get("cause") or f"exit {item.get('exit')}")


def apply_event(item: Event, loading: Loading, *, requested: Sequence[str]) -> None:
    """Apply one event to the progress.

    A requested model that is not among the ready ones has failed.
    """
    kind = item["event"]
    if kind in ("worker_restart", "worker_failed"):
        loading.cause = death_cause(item)
    if kind == "model_failed":
        loading.failed[str(item.get("model"))] = str(item.get("error"))
    if kind == "worker_failed":
        loading.failed["the worker"] = f"it died at every start, the last time: {death_cause(item)}"
    if kind == "ready":
        for model in set(requested) - set(item.get("models", requested)) - set(loading.failed):
            loading.failed[model] = "see below"
    loading.ready = kind in ("ready", "worker_failed")


def _failed(handle: Any, problem: str, loading: Loading, *, kept: bool) -> VldockError:
    tail = [f"  {text}" for text in loading.tail if not text.startswith("hint: ")]
    own = [text.partition(": ")[2] for text in loading.tail if text.startswith("hint: ")]
    hint = own[0] if own else "--keep-failed keeps its container, to look at"
    if kept:
        hint = f"it is kept: docker logs {handle.name}; docker rm -f {handle.name}"
    return loading.error_class()("\n".join([f"the session did not start: {problem}", *tail]), hint=hint)


def next_lines(session: Session, *, models: Sequence[str]) -> list[str]:
    """Return the commands to type next."""
    name = "" if session.name == session_spec.DEFAULT else f" {session.name}"
    model = models[0] if models else "llava_v1.5_7b"
    run = f"python {session_spec.RUN_PY} --data POPE --model {model}"
    return [
        f"docker exec {session.container} {run}",
        f"vldock session eval{name} --data POPE --model {model} --samples 10",
    ]
