"""Wait for something to become true, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 30.0
PAUSE = 0.05


def until(true: Callable[[], bool], *, seconds: float = SECONDS) -> None:
    """Return when `true()` is; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        time.sleep(PAUSE)
