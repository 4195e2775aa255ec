"""Artifacts of a run beside its scores: logs of failed cells, passports."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAST_LINES = 20
LINE_CLIP = 400
PASSPORT = "passport.json"
PASSPORT_ROWS = 400
PASSPORTS_UP_TO = 1_000_000  # characters of all passports of a run together
HEADING = re.compile(
    r"^===== (?P<model>\S+) x (?P<benchmark>\S+), attempt \d+ =====$"
)  # image/evaluation/cell.py prints it


def last_lines(log: Path, *, benchmark: str, most: int = LAST_LINES) -> list[str]:
    """Return the last lines of a model's log for a benchmark.

    The last of all where the log never came to it.
    """
    if not log.is_file():
        return []
    mine, all_lines = deque[str](maxlen=most), deque[str](maxlen=most)
    inside = False
    with log.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        for raw in stream:
            line = raw.rstrip("\n").rpartition("\r")[2].strip()  # a progress bar: its last state
            heading = HEADING.match(line)
            if heading:
                inside = heading["benchmark"] == benchmark
                mine = deque(maxlen=most) if inside else mine
            elif line:
                all_lines.append(line[:LINE_CLIP])
                if inside:
                    mine.append(line[:LINE_CLIP])
    return list(mine or all_lines)


@dataclass(frozen=True)
class Passport:
    """A passport.json as rows of (dotted name, value).

    `problem` says why it cannot be read.
    """

    place: str
    rows: tuple[tuple[str, str], ...]
    problem: str | None = None


def passports(run: Path, cells: list[tuple[str, str]]) -> list[Passport]:
    """Return the passports of a run and of its cells."""
    places = [(run.name, run), *((f"{model} x {name}", run / model / name) for model, name in cells)]
    found, size = list[Passport](), 0
    for place, folder in places:
        if not (folder / PASSPORT).is_file():
            continue
        passport = _passport(place, folder / PASSPORT)
        size += sum(len(name) + len(value) for name, value in passport.rows)
        fits = size <= PASSPORTS_UP_TO
        found.append(passport if fits else Passport(place, (), f"left out for its size: see {folder / PASSPORT}"))
    return found


def _passport(place: str, path: Path) -> Passport:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Passport(place, (), f"{PASSPORT} cannot be read: {error}")
    rows = list(_flat("", raw))
    more = [("...", f"{len(rows) - PASSPORT_ROWS} more")] if len(rows) > PASSPORT_ROWS else []
    return Passport(place, tuple(rows[:PASSPORT_ROWS] + more))


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            yield from _flat(f"{name}[{number}]", item)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield name or "value", text[:1000]
