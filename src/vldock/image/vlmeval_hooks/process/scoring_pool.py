"""Process pool that scores open answers.

No process for few rows, up to 16 for many.
The scores are the same.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from typing import Any

FEW = 500  # rows; scoring one takes well below a millisecond, a fork of this process tens of them
MOST = 16  # VLMEvalKit's own number


class SerialPool:
    """Pool without processes, with the one method in use."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Return [function(item), ...]; its exceptions pass through."""
        return [function(item) for item in items]


def make(rows: int) -> Any:
    """Return a pool; its map() scores `rows` rows."""
    return SerialPool() if rows <= FEW else multiprocessing.Pool(min(MOST, len(os.sched_getaffinity(0))))
