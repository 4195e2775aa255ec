"""Why a download is given up: one class, one message with its cure, one exit code each (docs/exit-codes.md).

VldockError
├── DownloadDenied   40   401, 403: a licence to accept, a token to give
├── NotThere         41   404: no such repository, revision or file
├── HostFailed       42   no answer, 429 or 5xx, cut lines, after every try
├── WrongBytes        4   (InputRefused) not the bytes that were declared; nothing of them is kept
└── NoRoom            3   (EnvironmentUnfit) the disk is full, or would be
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from vldock.common.errors import EnvironmentUnfit, InputRefused, VldockError
from vldock.common.filesystem.permissions import nearest, whoami, why_not
from vldock.host.docker_engine.client import plain

SECRETS = re.compile(r"\?[^\s'\")]*|(?<=://)[^/@\s]*@")


class DownloadDenied(VldockError):
    """The host asks for a token, or for a licence to be accepted."""

    exit_code = 40


class NotThere(VldockError):
    """The host knows no such repository, revision or file."""

    exit_code = 41


class HostFailed(VldockError):
    """The host did not answer, or said 'later' until patience ended."""

    exit_code = 42


class WrongBytes(InputRefused):
    """What came is not what was declared."""


class NoRoom(EnvironmentUnfit):
    """The disk cannot hold it."""


class Stopped(Exception):
    """Ctrl-C was pressed: a worker lets go at the next chunk."""


def bare(url: str) -> str:
    """Return an address without user, password and query: what may be printed."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def cleaned(error: BaseException) -> str:
    """Return an error's words in one line, without what an address may hold of secrets."""
    return SECRETS.sub("", plain(error))


def of_the_disk(error: OSError, path: Path) -> VldockError:
    """Return what a failed write means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom(
            f"the disk is full: {path}",
            expected="room for the rest of it",
            hint="free some; the same command goes on from the part that is there",
        )
    where = nearest(path.parent)
    return EnvironmentUnfit(
        f"{path} cannot be written: {why_not(where, whoami()) if error.errno in PERMISSION else error}",
        expected="a folder this user may write",
        hint=f"sudo chown -R $(id -u):$(id -g) {where}, or name another folder",
    )


PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


def exit_code_of(errors: Iterable[VldockError]) -> int:
    """Return the exit code all errors share; 1 where they differ, 0 where there are none."""
    codes = {error.exit_code for error in errors}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1
