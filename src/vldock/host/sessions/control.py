"""Control of a session from outside, by short commands with time limits.

They run in the session's container.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Completed, Container
from vldock.host.errors import error_text
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.find import Session

SECONDS = 60  # of a command that hangs; a Python takes ten to start where the machine is busy
# Signals whatever carries this request in its environment: run.py, or any command of `vldock session exec`.
SIGNAL = 'for p in /proc/[0-9]*; do grep -qzxsF "VLDOCK_REQUEST=$1" $p/environ && kill -s "$2" ${p#/proc/}; done; true'


@dataclass(frozen=True)
class SessionStatus:
    """A session's own report: `state` is starting, ready, stopping or failed.

    `raw` is its JSON.
    """

    state: str
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> list[dict[str, Any]]:
        """Models it holds or loads."""
        return list(self.raw.get("models") or ())

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """Evaluations at work."""
        return list(self.raw.get("running") or ())

    @property
    def cause(self) -> str | None:
        """Cause of its worker's last death, or None."""
        return self.raw.get("worker_cause") or None

    @property
    def idle(self) -> float:
        """Seconds since the last evaluation ended; 0 while one is at work."""
        return float(self.raw.get("idle_seconds") or 0.0)


def run_short(handle: Any, words: Sequence[str], *, seconds: float = SECONDS) -> Completed:
    """Run a short command in the container.

    Exit code 124 or 137 is a command that did not end in time.

    Raises EnvironmentUnfit where the container does not run (any more).
    """
    from docker.errors import APIError

    try:
        return Container(handle, None).execute(["timeout", "-k", "2", f"{seconds:g}", *words])
    except APIError as error:
        raise EnvironmentUnfit(
            f"nothing can be run in container {handle.name}: {error_text(error)}", hint="vldock session ls"
        ) from error


def read_status(session: Session) -> SessionStatus | None:
    """Return a session's own report, or None without an answer."""
    if not session.runs:
        return None
    try:
        answer = run_short(session.handle, [*session_spec.INSIDE, "status", "--json"])
        raw = json.loads(answer.stdout)
    except (EnvironmentUnfit, ValueError):
        return None
    return SessionStatus(str(raw["state"]), raw) if isinstance(raw, dict) and raw.get("state") else None


def read_statuses(sessions: Sequence[Session]) -> list[SessionStatus | None]:
    """Read the reports of several sessions in parallel."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(read_status, sessions))


def cancel(handle: Any, request: str) -> bool:
    """Cancel one evaluation as Ctrl-C does; False for an unknown id."""
    return run_short(handle, [*session_spec.INSIDE, "cancel", request]).exit_code == 0


def signal(handle: Any, request: str, name: str) -> None:
    """Send a signal (INT, KILL) to the commands of one request."""
    run_short(handle, ["sh", "-c", SIGNAL, "-", request, name])


def running_commands(session: Session) -> list[str]:
    """Return the `docker exec` commands at work in a session.

    The session's own and its health check are left out.
    """
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
    """Return one line per evaluation or other command at work in a session."""
    own = [
        (str(item.get("id", "")), " ".join(item.get("argv") or ())) for item in (status.evaluations if status else ())
    ]
    lines = [f"evaluation {request}: {text}" for request, text in own]
    return lines + [
        f"command: {text}" for text in running_commands(session) if not any(mine and mine in text for _, mine in own)
    ]
