"""Events: JSON lines printed by a container, and the run's log of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Sink = Callable[[Event], None]


def parse(line: str) -> Event | None:
    """Return the event of a line; None where the line is something else."""
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


def event(kind: str, **values: Any) -> Event:
    """Return an event of the host's own."""
    return {"event": kind, **values}


def fan_out(*sinks: Sink) -> Sink:
    """Return a sink that hands an event to each of `sinks`."""

    def give(item: Event) -> None:
        for sink in sinks:
            sink(item)

    return give


class SummaryLog:
    """logs/evaluation_summary.log: one line an event with its time.

    Flushed at once; no line per sample.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("a", encoding="utf-8")
        self._now = now

    def __call__(self, item: Event) -> None:
        """Write the event down."""
        if item["event"] != "progress":
            self._stream.write(f"{self._now().isoformat(timespec='seconds')} {one_line(item)}\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def one_line(item: Mapping[str, Any]) -> str:
    """Return an event as a line a person reads."""
    kind, banner = item["event"], " STAND-IN" if item.get("standin") else ""
    name = " ".join(str(item[key]) for key in ("model", "benchmark") if item.get(key))
    if kind == "cell_end" and item.get("status") == "succeeded":
        kept = " (kept)" if item.get("kept") else ""
        return (
            f"cell_end {name}{banner} succeeded score {score_text(item.get('score'))} ({item.get('metric')}) "
            f"samples {item.get('samples')} in {item.get('seconds', 0):.1f} s{kept}"
        )
    if kind == "cell_end":
        return f"cell_end {name}{banner} FAILED: {item.get('error')}"
    rest = {key: value for key, value in item.items() if key not in ("event", "model", "benchmark", "standin")}
    return (
        " ".join([kind, *([name] if name else []), *(f"{key}={_short(value)}" for key, value in rest.items())]) + banner
    )


def score_text(score: float | None) -> str:
    """Return a score of 0-100 with one decimal, or a dash.

    A dash is for no score.
    """
    return "-" if score is None else f"{score:.1f}"


def _short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else " ".join(str(value).split())
