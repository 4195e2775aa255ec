"""Waiting for a condition.

The bound only turns a hang into a failure: a busy machine is never near it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SECONDS = 300.0
PAUSE = 0.05


def until(true: Callable[[], Any], *, seconds: float = SECONDS) -> Any:
    """Return the first true value of `true()`; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not so within {seconds:g} s"
        time.sleep(PAUSE)
    return value
