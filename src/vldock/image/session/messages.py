"""Types of a session's messages, plain dicts on the wire.

Types only, imported for type checking and never at run time: run.py's side of a session imports as little as possible,
and `dataclasses` alone takes 10 ms. `message_stream` pickles the dicts; both ends are always of the same image, which
the build digest in each request ensures.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from vldock.image.answering.types import Answer, Question


class RunRequest(TypedDict):
    """Client to server: evaluate `run.py argv`.

    File descriptors 0 to 2 of the client come with it.
    """

    op: Literal["run"]
    build: str | None
    argv: list[str]
    cwd: str
    env: dict[str, str]
    umask: int
    request: str | None  # the name to cancel it by
    pid: int  # of the client
    id: NotRequired[str]  # from here on: added by the server, for the evaluator
    server: NotRequired[int]
    worker_deaths: NotRequired[int]


class SignalMessage(TypedDict):
    """Client to server, during its run: send the signal to the evaluator."""

    op: Literal["signal"]
    number: int


class StatusRequest(TypedDict):
    """Client or evaluator to server; answered by SessionStatus."""

    op: Literal["status"]
    build: NotRequired[str | None]


class CancelRequest(TypedDict):
    """Client to server: end a run as Ctrl-C does; answered by CancelledAnswer."""

    op: Literal["cancel"]
    id: str
    build: NotRequired[str | None]


class StopRequest(TypedDict):
    """Client to server: end the session; answered by StoppingAnswer."""

    op: Literal["stop"]
    build: NotRequired[str | None]


ControlRequest = StatusRequest | CancelRequest | StopRequest
ServerRequest = RunRequest | SignalMessage | ControlRequest


class SessionStatus(TypedDict):
    """Server to client: the output of `session status --json`."""

    state: str  # starting, ready, stopping or failed
    pid: int
    started: str
    idle_seconds: float
    idle_limit: float | None
    socket: str
    models: list[dict[str, Any]]
    running: list[dict[str, Any]]
    evals: int
    worker_pid: int | None
    worker_restarts: int
    worker_cause: str | None
    rss_bytes: int


class DeclinedAnswer(TypedDict):
    """Server, evaluator or worker: the run is declined, with the reason.

    The client runs it.
    """

    declined: str


class ExitAnswer(TypedDict):
    """Evaluator or server to client: the run ended with this status."""

    exit: int


class CancelledAnswer(TypedDict):
    """Server to client: how many runs were cancelled."""

    cancelled: int


class StoppingAnswer(TypedDict):
    """Server to client: the session ends, and so many runs with it."""

    stopping: Literal[True]
    running: int


ServerAnswer = SessionStatus | DeclinedAnswer | ExitAnswer | CancelledAnswer | StoppingAnswer


class ModelRequest(TypedDict):
    """Evaluator to worker: load this model if needed.

    Answered by ModelDescription or DeclinedAnswer.
    """

    op: Literal["model"]
    name: str
    spec: dict[str, Any]


# Worker to evaluator: class path, plain attributes, facts, note and eligibility, to build the model without weights.
ModelDescription = TypedDict(
    "ModelDescription",
    {
        "class": str,
        "state": dict[str, Any],
        "facts": dict[str, str],
        "note": dict[str, Any],
        "not_batched": str | None,
        "remote_code": dict[str, dict[str, Any]],
    },
)


class CallRequest(TypedDict):
    """Evaluator to worker: call a method of the model; answered by CallAnswer."""

    op: Literal["call"]
    model: str
    method: str
    arguments: dict[str, Any]
    prompt: str


class CallAnswer(TypedDict):
    """Worker to evaluator: the method's value, and the sample's note."""

    value: Any
    note: dict[str, Any]


class AnswersRequest(TypedDict):
    """Evaluator to worker: answer these with the batched engine.

    A StreamedAnswer each, then EndAnswer.
    """

    op: Literal["answers"]
    model: str
    questions: list[Question]
    env: dict[str, str]


class StreamedAnswer(TypedDict):
    """Worker to evaluator: one answer of many."""

    answer: Answer


class EndAnswer(TypedDict):
    """Worker to evaluator: all questions are answered."""

    end: Literal[True]


class LoadRequest(TypedDict):
    """Client to worker: load or unload a model.

    Answered by LoadedAnswer or UnloadedAnswer.
    """

    op: Literal["load", "unload"]
    name: str


class LoadedAnswer(TypedDict):
    """Worker to client: the model's entry in the status."""

    loaded: dict[str, Any]


class UnloadedAnswer(TypedDict):
    """Worker to client: outcome of unloading a model.

    Whether the model was unloaded, and whether it was in use.
    """

    unloaded: bool
    busy: bool


class LogLine(TypedDict):
    """Worker to evaluator or client: one line for the user.

    Sent before an answer.
    """

    say: str


class RaisedAnswer(TypedDict):
    """Worker to evaluator or client: the request raised this."""

    raised: Exception


class WorkerState(TypedDict):
    """Worker to server, on the control socket: its models.

    `ready`: whether those of the start are loaded.
    """

    models: list[dict[str, Any]]
    ready: bool


WorkerRequest = ModelRequest | CallRequest | AnswersRequest | LoadRequest
WorkerAnswer = (
    ModelDescription
    | DeclinedAnswer
    | CallAnswer
    | StreamedAnswer
    | EndAnswer
    | LoadedAnswer
    | UnloadedAnswer
    | LogLine
    | RaisedAnswer
    | WorkerState
)
