"""Queue of benchmark names read from stdin during a run.

One name per line; an empty line ends the queue.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from vldock.image.vlmeval_hooks.process import ranks

OPTION = "-"  # --data -


@contextmanager
def names() -> Iterator[Iterator[str]]:
    """Yield the names on standard input as they arrive, on every rank.

    stdin is /dev/null for everything else.
    """
    stdin, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    with os.fdopen(stdin, encoding="utf-8") as stream:
        yield iter(lambda: _next(stream), "")


def _next(stream: TextIO) -> str:
    return ranks.broadcast(stream.readline().strip() if ranks.rank() == 0 else "")
