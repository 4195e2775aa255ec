"""Lock of one process on a folder.

The kernel releases it when the process dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import IO

from vldock.common.errors import EnvironmentUnfit


def take(stream: IO[str], *, on_busy: Callable[[str], EnvironmentUnfit]) -> None:
    """Lock an open file until it is closed.

    The file is open in mode a+; this process's number is written into it. Raises `on_busy(holder)` where another
    process, of that number, has it.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        raise on_busy(stream.read().strip() or "unknown") from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
