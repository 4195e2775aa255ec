"""What is asked of a session from outside: short commands in its container, each with a time limit of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Completed, Container
from vldock.host.errors import plain
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.find import Session

SECONDS = 60  # of a command that hangs; a Python takes ten to start where the machine is busy
# Signals whatever carries this request in its environment: run.py, or any command of `vldock session exec`.
SIGNAL = 'for p in /proc/[0-9]*; do grep -qzxsF "VLDOCK_REQUEST=$1" $p/environ && kill -s "$2" ${p#/proc/}; done; true'


@dataclass(frozen=True)
class SessionStatus:
    """What a session says of itself: `state` starting, ready, stopping or failed; `raw` is its own JSON."""

    state: str
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models it holds or loads, as it tells them."""
        return list(self.raw.get("models") or ())

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The evaluations at work."""
        return list(self.raw.get("running") or ())

    @property
    def cause(self) -> str | None:
        """Why its worker died the last time, None where it never did."""
        return self.raw.get("worker_cause") or None

    @property
    def idle(self) -> float:
        """Seconds since the last evaluation ended; 0 while one is at work."""
        return float(self.raw.get("idle_seconds") or 0.0)


def run_short(handle: Any, words: Sequence[str], *, seconds: float = SECONDS) -> Completed:
    """Run a short command in the container; 124 or 137 is a command that did not end in time.

    Raises EnvironmentUnfit where the container does not run (any more).
    """
    from docker.errors import APIError

    try:
        return Container(handle, None).execute(["timeout", "-k", "2", f"{seconds:g}", *words])
    except APIError as error:
        raise EnvironmentUnfit(
            f"nothing can be run in container {handle.name}: {plain(error)}", hint="vldock session ls"
        ) from error


def read_status(session: Session) -> SessionStatus | None:
    """Return what a session says of itself, or None where nothing answers."""
    if not session.runs:
        return None
    try:
        answer = run_short(session.handle, [*session_spec.INSIDE, "status", "--json"])
        raw = json.loads(answer.stdout)
    except (EnvironmentUnfit, ValueError):
        return None
    return SessionStatus(str(raw["state"]), raw) if isinstance(raw, dict) and raw.get("state") else None


def read_statuses(sessions: Sequence[Session]) -> list[SessionStatus | None]:
    """Ask several sessions at once."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(read_status, sessions))


def cancel(handle: Any, request: str) -> bool:
    """End one evaluation as Ctrl-C would; False where the session knows none of that id."""
    return run_short(handle, [*session_spec.INSIDE, "cancel", request]).exit_code == 0


def signal(handle: Any, request: str, name: str) -> None:
    """Send a signal (INT, KILL) to the commands of one request."""
    run_short(handle, ["sh", "-c", SIGNAL, "-", request, name])


def running_commands(session: Session) -> list[str]:
    """Return the commands `docker exec` has at work in a session, but its own and its health check's."""
    api = session.handle.client.api
    at_work = []
    for made in api.inspect_container(session.handle.id).get("ExecIDs") or ():
        details = api.exec_inspect(made)
        words = [details["ProcessConfig"]["entrypoint"], *details["ProcessConfig"]["arguments"]]
        text = " ".join(words)
        if details["Running"] and " ".join(session_spec.INSIDE[1:]) not in text:
            at_work.append(text)
    return at_work


def work_lines(session: Session, status: SessionStatus | None) -> list[str]:
    """Return one line for everything at work in a session: its evaluations, and other commands."""
    own = [
        (str(item.get("id", "")), " ".join(item.get("argv") or ())) for item in (status.evaluations if status else ())
    ]
    lines = [f"evaluation {request}: {text}" for request, text in own]
    return lines + [
        f"command: {text}" for text in running_commands(session) if not any(mine and mine in text for _, mine in own)
    ]
