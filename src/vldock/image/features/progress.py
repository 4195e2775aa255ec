"""Progress of a build on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

EVERY = 2.0  # seconds between two lines


class ProgressLines:
    """Printer of a progress line every EVERY seconds.

    It prints the last line too. `done` and `unit` are the words of a build, or of another work on rows.
    """

    def __init__(self, done: str = "computed", unit: str = "pictures") -> None:
        self.printed_at = time.monotonic()
        self.done, self.unit = done, unit

    def __call__(self, progress: dict[str, Any]) -> None:
        """Print a rank's progress, if it is time."""
        if time.monotonic() - self.printed_at < EVERY and progress["rows"] < progress["of"]:
            return
        self.printed_at = time.monotonic()
        left = (progress["of"] - progress["rows"]) / progress["rate"] if progress["rate"] else 0
        print(
            f"rank {progress['rank']}: {progress['rows']}/{progress['of']} rows, {progress['computed']} {self.done}, "
            f"{progress['rate']:.1f} {self.unit}/s, {left:.0f} s left", file=sys.stderr, flush=True,
        )  # fmt: skip
