"""End of sessions: one by name, or all stale ones.

`gc` ends the stale ones, from a plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.cleanup import end_container
from vldock.host.sessions import control as session_control
from vldock.host.sessions import owner as session_owner
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions.control import SessionStatus
from vldock.host.sessions.find import Session
from vldock.host.util.console import Say, duration_text

GRACE_SECONDS = 20.0  # for the session to end by itself: its evaluations keep what they have predicted
YOUNG_SECONDS = 60.0  # a container that is made and not started yet may be another's `session start`
UNUSABLE = ("exited", "dead")


class SessionBusy(EnvironmentUnfit):
    """A session to end has work in progress."""

    exit_code = 1


def refuse_busy(session: Session, status: SessionStatus | None) -> None:
    """Raise SessionBusy, naming the work in progress, where there is some."""
    lines = session_control.work_lines(session, status) if session.runs else []
    if lines:
        raise SessionBusy(
            "\n".join([f"session {session.name} is at work:", *(f"  {line}" for line in lines)]),
            hint=f"wait for it, or: vldock session stop {session.name} --force (what is predicted is kept)",
        )


def stop(session: Session, *, force: bool, say: Say, seconds: float = GRACE_SECONDS) -> None:
    """End a session and remove its container.

    It is requested to end first (its evaluations stop as by Ctrl-C), then stopped as `docker stop` does, then killed.
    Raises SessionBusy where something is at work in it and not `force`.
    """
    if not force:
        refuse_busy(session, session_control.read_status(session))
    if session.state != "created":
        _remove_restart_policy(session.handle)
    if session.runs and _ask_to_end(session):
        _wait(session.handle, seconds)
    end_container(session.handle, gently=True)
    end_container(session.handle)
    say(f"session {session.name} ended: container {session.container} is removed")


def _remove_restart_policy(handle: Any) -> None:
    """Remove the restart policy, so that docker does not restart the container."""
    from docker.errors import APIError, NotFound

    try:
        handle.update(restart_policy={"Name": "no"})
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # 409: it is being removed
            raise


def _ask_to_end(session: Session) -> bool:
    try:
        return session_control.run_short(session.handle, [*session_spec.INSIDE, "stop"]).exit_code == 0
    except EnvironmentUnfit:
        return False


def _wait(handle: Any, seconds: float) -> None:
    from docker.errors import NotFound

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            handle.reload()
        except NotFound:
            return
        if handle.status != "running":
            return
        time.sleep(0.1)


@dataclass(frozen=True)
class StaleSession:
    """A session to remove, and why."""

    session: Session
    why: str

    def __str__(self) -> str:
        return f"session {self.session.name} ({self.session.container}): {self.why}"


def plan(
    sessions: Sequence[Session],
    *,
    older_than: float | None,
    read_status: Callable[[Session], SessionStatus | None] = session_control.read_status,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[StaleSession]:
    """Return the stale sessions.

    Stale is a session that is unusable, whose owner has ended, or that is idle for more than `older_than` seconds.
    """
    reasons = (
        (session, stale_reason(session, older_than=older_than, read_status=read_status, now=now()))
        for session in sessions
    )
    return [StaleSession(session, why) for session, why in reasons if why]


def stale_reason(
    session: Session, *, older_than: float | None, read_status: Callable[[Session], SessionStatus | None], now: datetime
) -> str | None:
    """Return why a session is stale, or None."""
    if session.state in UNUSABLE:
        return f"its container is {session.describe_state()}"
    if session.state == "created":
        age = (now - session.created).total_seconds()
        return "its container was made and never started" if age > YOUNG_SECONDS else None
    if session.health == "unhealthy":
        return "it is unhealthy: its worker does not answer, or it lost its folders or GPU"
    if session_owner.has_ended(session.owner):
        return f"the process it belongs to is over ({session.owner})"
    if older_than is not None and session.runs:
        status = read_status(session)
        if status is not None and not status.evaluations and status.idle > older_than:
            return f"idle for {duration_text(status.idle)}"
    return None


def remove_stale(stale: Sequence[StaleSession], *, say: Say) -> None:
    """Remove the plan's sessions, except usable and busy ones."""
    for item in stale:
        try:
            stop(item.session, force=not item.session.runs or item.session.health == "unhealthy", say=say)
        except SessionBusy as error:
            say(f"session {item.session.name} is left: {error.message.partition(':')[0]}")
