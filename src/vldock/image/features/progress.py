"""A build's progress, as lines on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

EVERY = 2.0  # seconds between two lines


class Lines:
    """A line every EVERY seconds, and the last one."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def __call__(self, said: dict[str, Any]) -> None:
        """Tell how far a rank is."""
        if time.monotonic() - self.told < EVERY and said["rows"] < said["of"]:
            return
        self.told = time.monotonic()
        left = (said["of"] - said["rows"]) / said["rate"] if said["rate"] else 0
        print(
            f"rank {said['rank']}: {said['rows']}/{said['of']} rows, {said['computed']} computed, "
            f"{said['rate']:.1f} pictures/s, {left:.0f} s left", file=sys.stderr, flush=True,
        )  # fmt: skip
