"""Cause of a worker's death.

Its last error, else signal or exit code.
"""

from __future__ import annotations

import os
import signal

from vldock.common.errors import VldockError

LONGEST = 2000  # bytes


def one_line(error: BaseException) -> str:
    """Return an error as one line.

    A VldockError's message, else type and first line.
    """
    if isinstance(error, VldockError):
        return error.message.splitlines()[0]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def write_cause(descriptor: int, error: BaseException) -> None:
    """Write an error for the server, to a file.

    The server reads the file when this process has ended.
    """
    os.pwrite(descriptor, one_line(error).encode(errors="replace")[:LONGEST], 0)


def read_cause(descriptor: int, *, code: int, out_of_memory: bool) -> str:
    """Return why a process ended.

    `code` is its exit code, negative for a signal.
    """
    if written := os.pread(descriptor, LONGEST, 0).decode(errors="replace"):
        return written
    if code >= 0:
        return f"exit {code}"
    name = f"killed by {_signal_name(-code)}"
    if code != -signal.SIGKILL:
        return name
    return f"{name}: out of memory" if out_of_memory else f"{name} (kill -9)"


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in list(signal.Signals) else f"signal {number}"
