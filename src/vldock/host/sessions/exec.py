"""Command in a session, as by `docker exec`, ended by Ctrl-C.

Both streams are live and separate; the exit code is passed on.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.streams import Source, read_frames
from vldock.host.errors import error_text
from vldock.host.sessions import control as session_control
from vldock.host.util.console import Say, say

REQUEST = "VLDOCK_REQUEST"
INTERRUPTED = 130
KILLED = 137
TICK_SECONDS = 0.1
GRACE_SECONDS = 10.0  # after a second Ctrl-C: then the client ends whatever the engine says

LATE_SECONDS = 5.0  # a killed command may be the first sign of a killed container

Interrupt = Callable[[Any, str], None]


def new_request_id() -> str:
    """Return a new id for the processes of one request in the container."""
    return uuid.uuid4().hex[:12]


@dataclass
class Streams:
    """Writes chunks to two binary streams as they come.

    A stream whose reader went away gets no more.
    """

    stdout: IO[bytes] = field(default_factory=lambda: sys.stdout.buffer)
    stderr: IO[bytes] = field(default_factory=lambda: sys.stderr.buffer)
    closed: set[Source] = field(default_factory=set)

    def __call__(self, source: Source, chunk: bytes) -> None:
        """Write one chunk."""
        if source in self.closed:
            return
        stream = self.stdout if source == "stdout" else self.stderr
        try:
            stream.write(chunk)
            stream.flush()
        except BrokenPipeError:  # `... | head`: the evaluation goes on, and its exit code is passed on
            self.closed.add(source)


@contextmanager
def count_signals() -> Iterator[list[int]]:
    """Yield a list of the SIGINT, SIGTERM and SIGHUP received instead of ending."""
    seen: list[int] = []

    def count(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before = {number: signal.signal(number, count) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_evaluation(handle: Any, request_id: str) -> None:
    """Cancel an evaluation through the session, else by SIGINT.

    The session does not know an evaluation in its own process.
    """
    if not session_control.cancel(handle, request_id):
        session_control.signal(handle, request_id, "INT")


def end_command(handle: Any, request_id: str) -> None:
    """Send SIGINT to a command and all its children."""
    session_control.signal(handle, request_id, "INT")


def kill(handle: Any, request_id: str) -> None:
    """Send SIGKILL to a command and all its children."""
    session_control.signal(handle, request_id, "KILL")


def run(
    handle: Any,
    argv: Sequence[str],
    *,
    request_id: str,
    env: Mapping[str, str] | None = None,
    interrupt: Interrupt = end_evaluation,
    out: Callable[[Source, bytes], None] | None = None,
    say: Say = say,
) -> int:
    """Run a command to its end and return its exit code.

    The code is 130 after Ctrl-C. SIGTERM and SIGHUP count as Ctrl-C.

    The first signal asks politely (`interrupt`), the second kills. Must be called in the main thread. Raises
    EnvironmentUnfit where the container does not run, or ends during the command.
    """
    write = out or Streams()
    with count_signals() as signals:
        made, stream = _start(handle, argv, {**(env or {}), REQUEST: request_id})
        reader = threading.Thread(target=lambda: [write(*frame) for frame in stream], daemon=True)
        reader.start()
        _wait(reader, signals, ends=(interrupt, kill), target=(handle, request_id), say=say)
        code = exit_code(handle, made)
    return INTERRUPTED if signals else code


def _start(handle: Any, argv: Sequence[str], env: Mapping[str, str]) -> tuple[str, Iterator[tuple[Source, bytes]]]:
    """Start an exec and return its id and its streams."""
    from docker.errors import APIError

    api = handle.client.api
    try:
        made = str(api.exec_create(handle.id, list(argv), environment=dict(env))["Id"])
        return made, read_frames(api.exec_start(made, socket=True))
    except APIError as error:
        raise EnvironmentUnfit(f"{argv[0]} cannot be run in {handle.name}: {error_text(error)}") from error


def _wait(
    reader: threading.Thread,
    signals: list[int],
    *,
    ends: tuple[Interrupt, Interrupt],
    target: tuple[Any, str],
    say: Say,
) -> None:
    """Wait for the end of the streams, answering signals.

    The first signal is answered with the first of `ends`, the next with the other.
    """
    remarks = ("stopping; Ctrl-C once more kills it", "killing it")
    answered, left = 0, GRACE_SECONDS
    while reader.is_alive() and left > 0:
        reader.join(TICK_SECONDS)
        if answered < min(len(signals), len(ends)):
            say(remarks[answered])
            with contextlib.suppress(EnvironmentUnfit):  # gone already: its streams end too
                ends[answered](*target)
            answered += 1
        elif answered == len(ends):
            left -= TICK_SECONDS


def exit_code(handle: Any, made: str) -> int:
    """Return the exit code of an exec; `handle` is as it was before.

    Raises EnvironmentUnfit where its container ended (or was started again) under it, or the engine went away.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    before = handle.attrs["State"]
    try:
        code = handle.client.api.exec_inspect(made)["ExitCode"]
        state = _later_state(handle, before, seconds=LATE_SECONDS if code in (None, KILLED) else 0.0)
    except (DockerException, RequestException) as error:
        raise EnvironmentUnfit(
            f"container {handle.name} was lost: {error_text(error)}", hint="vldock engine status; vldock session ls"
        ) from error
    if state["Status"] == "running" and state["StartedAt"] == before["StartedAt"]:
        return KILLED if code is None else int(code)
    ended = f"{state['Status']} (exit {state['ExitCode']})" if state["Status"] != "running" else "it was started again"
    raise EnvironmentUnfit(
        f"container {handle.name} ended while this ran: {ended}",
        hint="finished predictions are kept in its outputs; once the session is there again, give the same command",
    )


def _later_state(handle: Any, before: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Return the container's current state.

    With `seconds`, wait so long for its end: the engine reports it after its commands'.
    """
    deadline = time.monotonic() + seconds
    while True:
        handle.reload()
        state: dict[str, Any] = handle.attrs["State"]
        if (state["Status"], state["StartedAt"]) != ("running", before["StartedAt"]) or time.monotonic() >= deadline:
            return state
        time.sleep(TICK_SECONDS)
