"""Lines written by vldock.image.timing.phases, one per ended process: read and added up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PHASES = ("start-up", "load", "data", "preprocess", "vision", "prefill", "decode", "loop", "scoring")


@dataclass(frozen=True)
class Line:
    """Process of a run: seconds by phase, and its first answer.

    Seconds are of its main thread and beside it; the first answer is in epoch seconds.
    """

    argv: tuple[str, ...]
    wall: float
    phases: dict[str, float]
    cpu: dict[str, float]
    counts: dict[str, int]
    beside: dict[str, float]
    answers: int
    first_answer: float | None
    memory_peak: float | None
    cpu_seconds: float | None


def read(path: Path) -> list[Line]:
    """Return the lines of a file, none if it does not exist."""
    if not path.is_file():
        return []
    return [_line(json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]


def _line(found: dict) -> Line:  # type: ignore[type-arg]  # a JSON object
    return Line(
        argv=tuple(found["argv"]),
        wall=found["wall"],
        phases={name: spent["seconds"] for name, spent in found["phases"].items()},
        cpu={name: spent["cpu"] for name, spent in found["phases"].items()},
        counts={name: spent["count"] for name, spent in found["phases"].items()},
        beside={name: spent["seconds"] for name, spent in found["beside"].items()},
        answers=found["answers"],
        first_answer=found["first_answer"],
        memory_peak=found["container"].get("memory_peak"),
        cpu_seconds=found["container"].get("cpu_seconds"),
    )


def sum_phases(lines: Iterable[Line], *, cpu: bool = False) -> dict[str, float]:
    """Return the seconds of each phase over all lines.

    With `cpu` they are processor seconds. The order is that of PHASES. Waiting for a session is left out: its own
    processes' lines report its work.
    """
    total: Counter[str] = Counter()
    for line in lines:
        total.update(line.cpu if cpu else line.phases)
    return {name: round(total[name], 3) for name in PHASES if total[name]}


def count_phases(lines: Iterable[Line]) -> dict[str, int]:
    """Return the number of times each phase was entered, over all lines."""
    total: Counter[str] = Counter()
    for line in lines:
        total.update(line.counts)
    return dict(total)


def peak(lines: Iterable[Line]) -> float | None:
    """Return the largest peak memory of a container, in bytes."""
    return max((line.memory_peak for line in lines if line.memory_peak), default=None)
