"""Owner of a session: a process, whose end makes it stale.

`vldock session gc` removes a session whose owner has ended.
"""

from __future__ import annotations

import platform
import re

import psutil

from vldock.common.errors import UsageError

OWNER = re.compile(r"^(?P<machine>.+):(?P<pid>\d+):(?P<started>\d+\.\d+)$")
SECOND = 1.0  # psutil computes a start from the boot time, which a clock that is set moves


def owner_mark(pid: int) -> str:
    """Return the owner label of a process of this machine.

    Its parts are machine, process number and start. Raises UsageError where there is no such process.
    """
    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error as error:
        raise UsageError(
            f"--owner {pid}: {error}", expected="the number of a running process, as $$ in a script"
        ) from error
    return f"{platform.node()}:{pid}:{started:.2f}"


def has_ended(owner: str | None) -> bool:
    """Whether the owner was a process of this machine and has ended.

    False for anything that cannot be known.
    """
    match = OWNER.match(owner or "")
    if match is None or match["machine"] != platform.node():
        return False
    try:
        return abs(psutil.Process(int(match["pid"])).create_time() - float(match["started"])) > SECOND
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
