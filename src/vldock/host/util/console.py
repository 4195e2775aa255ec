"""Output: results to standard output, progress and remarks to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

PLAIN_WIDTH = 140

Say = Callable[[str], None]


def say(text: str) -> None:
    """Print one remark to standard error."""
    print(text, file=sys.stderr, flush=True)


def silent(text: str) -> None:
    """Print nothing: for callers that want the result only."""


def console(*, stderr: bool = False) -> Console:
    """Return a console.

    Without a terminal, lines are wide enough not to be broken.
    """
    made = Console(stderr=stderr, highlight=False, markup=False, soft_wrap=False)
    if made.is_terminal:
        return made
    return Console(stderr=stderr, highlight=False, markup=False, width=PLAIN_WIDTH, force_terminal=False)


def print_json(value: Any) -> None:
    """Print `value` to standard output as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)


def size_text(size: float) -> str:
    """Return a number of bytes in decimal units, as docker prints them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"


def duration_text(seconds: float) -> str:
    """Return a duration as readable text.

    Examples: 4.2 s, 3 min 05 s, 1 h 02 min.
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
