"""Display of sessions: a start, the table, one in full.

A start is shown while in progress; the table lists all sessions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from vldock.host.runs.events import Event, Sink
from vldock.host.sessions.control import SessionStatus
from vldock.host.sessions.find import Session
from vldock.host.sessions.start import death_cause
from vldock.host.util.console import duration_text, size_text

QUIET_SECONDS = 30.0


@contextmanager
def show_loading(console: Console, *, name: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Sink]:
    """Yield a sink that prints a start's events.

    Each event has the time so far. On a terminal a clock runs below them; elsewhere a line every half minute reports
    that the start goes on.
    """
    began = last_line = clock()

    def show(item: Event) -> None:
        nonlocal last_line
        text = event_text(item)
        if text is None and not console.is_terminal and clock() - last_line > QUIET_SECONDS:
            text = "still starting"
        if text is not None:
            last_line = clock()
            console.print(f"{duration_text(last_line - began):>11}  {text}", soft_wrap=True)

    if not console.is_terminal:
        yield show
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bars.add_task(f"session {name} is starting (Ctrl-C removes it)", total=None)
        yield show


def event_text(item: Event) -> str | None:
    """Return the line of a start's event, or None."""
    kind, model = item["event"], item.get("model")
    if kind == "say":
        return str(item.get("line"))
    if kind == "model_loading":
        return f"loading {model}"
    if kind == "model_loaded":
        weight = f", {size_text(item['bytes'])}" if item.get("bytes") else ""
        return f"loaded {model} in {float(item.get('seconds') or 0):.1f} s{weight}" + _of(item, "device", "dtype")
    if kind == "model_failed":
        return f"FAILED {model}: {item.get('error')}"
    if kind == "worker_restart":
        return f"the worker died ({death_cause(item)}) and is started again"
    if kind == "worker_failed":
        return f"the worker died ({death_cause(item)}) and is not started again"
    return kind if kind in ("starting", "ready") else None


def _of(item: Event, *names: str) -> str:
    values = [str(item[name]) for name in names if item.get(name)]
    return f" ({', '.join(values)})" if values else ""


def state_text(session: Session, status: SessionStatus | None) -> str:
    """Return a session's state: its own report's, else its container's."""
    if status is None:
        return f"{session.describe_state()}, no answer" if session.runs else session.describe_state()
    if status.cause and status.state in ("failed", "starting"):
        return f"worker died: {status.cause}" + ("" if status.state == "failed" else " (starting again)")
    at_work = len(status.evaluations)
    text = f"{status.state}, {at_work} at work" if at_work else status.state
    return f"{text} (unhealthy)" if session.health == "unhealthy" else text


def table(
    sessions: Sequence[Session], statuses: Sequence[SessionStatus | None], *, now: datetime | None = None
) -> Table:
    """Return the table of `vldock session ls`."""
    made = Table()
    for name in ("session", "image", "models", "state", "age", "idle", "memory"):
        made.add_column(name, no_wrap=name in ("session", "age", "idle", "memory"))
    for session, status in zip(sessions, statuses, strict=True):
        row = session_json(session, status, now=now)
        models = ", ".join(f"{model['name']} ({model['state']})" for model in row["models"]) or "none"
        idle, memory = row["idle_seconds"], row["rss_bytes"]
        made.add_row(
            session.name,
            session.image[:19] if session.image.startswith("sha256:") else session.image,
            models,
            state_text(session, status),
            duration_text(row["age_seconds"]),
            "-" if idle is None else duration_text(idle),
            size_text(memory) if memory else "-",
        )
    return made


def session_json(session: Session, status: SessionStatus | None, *, now: datetime | None = None) -> dict[str, Any]:
    """Return one session as `ls --json` and `start --json` print it."""
    requested = [{"name": model, "state": "asked"} for model in session.models]
    return {
        "name": session.name,
        "container": session.container,
        "id": session.handle.id,
        "image": session.image,
        "created_by": session.maker,
        "container_state": session.state,
        "exit_code": None if session.runs else session.exit_code,
        "health": session.health,
        "state": status.state if status else None,
        "worker_cause": status.cause if status else None,
        "models": [{key: m.get(key) for key in ("name", "state")} for m in status.models] if status else requested,
        "running": status.evaluations if status else [],
        "age_seconds": round(((now or datetime.now(UTC)) - session.created).total_seconds(), 1),
        "idle_seconds": status.idle if status else None,
        "idle_limit": status.raw.get("idle_limit") if status else None,
        "rss_bytes": status.raw.get("rss_bytes") if status else None,
        "outputs": session.outputs,
    }


def status_lines(session: Session, status: SessionStatus) -> list[str]:
    """Return the lines of `vldock session status`."""
    raw = status.raw
    limit = raw.get("idle_limit")
    ends = f"ends after {duration_text(limit)} idle" if limit else "never ends by itself"
    last = f" (the last time: {status.cause})" if status.cause else ""
    lines = [
        f"session {session.name}: {state_text(session, status)}",
        f"container {session.container} of {session.image}, {session.describe_state()}, by {session.maker}",
        f"idle {duration_text(status.idle)}; {ends}",
        f"evaluations so far {raw.get('evals', 0)}, worker restarts {raw.get('worker_restarts', 0)}{last}, "
        f"memory {size_text(raw.get('rss_bytes') or 0)}",
        *(f"model {model_text(model)}" for model in status.models),
    ]
    return lines + [
        f"at work {item.get('id')}: run.py {' '.join(item.get('argv') or ())}" for item in status.evaluations
    ]


def model_text(model: dict[str, Any]) -> str:
    """Return one line about a loaded model."""
    if model.get("state") == "failed":
        return f"{model['name']}: FAILED: {model.get('error')}"
    facts = [str(model[key]) for key in ("device", "dtype", "attention") if model.get(key)]
    facts += [size_text(model["bytes"])] if model.get("bytes") else []
    facts += [f"loaded in {model['seconds']:.1f} s"] if model.get("seconds") else []
    facts += [f"revision {str(model['revision'])[:12]}"] if model.get("revision") else []
    facts += [f"{model['answers']} answers"] if model.get("answers") else []
    return f"{model['name']}: {model.get('state')}" + (f" ({', '.join(facts)})" if facts else "")
