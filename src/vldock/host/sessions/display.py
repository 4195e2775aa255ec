"""What a person sees of sessions: a start as it goes, the table of all, one in full."""

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
    """Yield a sink for a start's events: a line each with the time so far, and on a terminal a clock that runs.

    Elsewhere a line says every half minute that it still goes on.
    """
    began = said = clock()

    def show(item: Event) -> None:
        nonlocal said
        text = event_text(item)
        if text is None and not console.is_terminal and clock() - said > QUIET_SECONDS:
            text = "still starting"
        if text is not None:
            said = clock()
            console.print(f"{duration_text(said - began):>11}  {text}", soft_wrap=True)

    if not console.is_terminal:
        yield show
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bars.add_task(f"session {name} is starting (Ctrl-C removes it)", total=None)
        yield show


def event_text(item: Event) -> str | None:
    """Return the line of a start's event, or None where it has none."""
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


def state_text(found: Session, told: SessionStatus | None) -> str:
    """Return a session's state in a few words: its own where it answers, else its container's."""
    if told is None:
        return f"{found.told()}, no answer" if found.runs else found.told()
    if told.cause and told.state in ("failed", "starting"):
        return f"worker died: {told.cause}" + ("" if told.state == "failed" else " (starting again)")
    at_work = len(told.evaluations)
    text = f"{told.state}, {at_work} at work" if at_work else told.state
    return f"{text} (unhealthy)" if found.health == "unhealthy" else text


def table(every: Sequence[Session], told: Sequence[SessionStatus | None], *, now: datetime | None = None) -> Table:
    """Return the table of `vldock session ls`."""
    made = Table()
    for name in ("session", "image", "models", "state", "age", "idle", "memory"):
        made.add_column(name, no_wrap=name in ("session", "age", "idle", "memory"))
    for found, answer in zip(every, told, strict=True):
        row = session_json(found, answer, now=now)
        models = ", ".join(f"{model['name']} ({model['state']})" for model in row["models"]) or "none"
        idle, memory = row["idle_seconds"], row["rss_bytes"]
        made.add_row(
            found.name,
            found.image[:19] if found.image.startswith("sha256:") else found.image,
            models,
            state_text(found, answer),
            duration_text(row["age_seconds"]),
            "-" if idle is None else duration_text(idle),
            size_text(memory) if memory else "-",
        )
    return made


def session_json(found: Session, told: SessionStatus | None, *, now: datetime | None = None) -> dict[str, Any]:
    """Return one session as `ls --json` and `start --json` print it."""
    asked = [{"name": model, "state": "asked"} for model in found.models]
    return {
        "name": found.name,
        "container": found.container,
        "id": found.handle.id,
        "image": found.image,
        "created_by": found.maker,
        "container_state": found.state,
        "exit_code": None if found.runs else found.exit_code,
        "health": found.health,
        "state": told.state if told else None,
        "worker_cause": told.cause if told else None,
        "models": [{key: m.get(key) for key in ("name", "state")} for m in told.models] if told else asked,
        "running": told.evaluations if told else [],
        "age_seconds": round(((now or datetime.now(UTC)) - found.created).total_seconds(), 1),
        "idle_seconds": told.idle if told else None,
        "idle_limit": told.raw.get("idle_limit") if told else None,
        "rss_bytes": told.raw.get("rss_bytes") if told else None,
        "outputs": found.outputs,
    }


def status_lines(found: Session, told: SessionStatus) -> list[str]:
    """Return what `vldock session status` prints of a session that answers."""
    raw = told.raw
    limit = raw.get("idle_limit")
    ends = f"ends after {duration_text(limit)} idle" if limit else "never ends by itself"
    last = f" (the last time: {told.cause})" if told.cause else ""
    lines = [
        f"session {found.name}: {state_text(found, told)}",
        f"container {found.container} of {found.image}, {found.told()}, by {found.maker}",
        f"idle {duration_text(told.idle)}; {ends}",
        f"evaluations so far {raw.get('evals', 0)}, worker restarts {raw.get('worker_restarts', 0)}{last}, "
        f"memory {size_text(raw.get('rss_bytes') or 0)}",
        *(f"model {model_text(model)}" for model in told.models),
    ]
    return lines + [f"at work {item.get('id')}: run.py {' '.join(item.get('argv') or ())}" for item in told.evaluations]


def model_text(model: dict[str, Any]) -> str:
    """Return one line about a model that is held."""
    if model.get("state") == "failed":
        return f"{model['name']}: FAILED: {model.get('error')}"
    facts = [str(model[key]) for key in ("device", "dtype", "attention") if model.get(key)]
    facts += [size_text(model["bytes"])] if model.get("bytes") else []
    facts += [f"loaded in {model['seconds']:.1f} s"] if model.get("seconds") else []
    facts += [f"revision {str(model['revision'])[:12]}"] if model.get("revision") else []
    facts += [f"{model['answers']} answers"] if model.get("answers") else []
    return f"{model['name']}: {model.get('state')}" + (f" ({', '.join(facts)})" if facts else "")
