"""The host's exceptions, one exit code each (docs/use/exit-codes.md).

VldockError
├── Refusal                   a receipt, an image or a registry does not hold what a promotion needs
│   ├── ReceiptUnreadable    20   there is no receipt, or the file is not one
│   ├── OtherImage           21   the receipt is of another image
│   ├── BadSignature         22   the receipt was changed after it was signed
│   ├── UnknownKey           23   signed by somebody else
│   ├── Unsigned             24   not signed, and that was not allowed
│   ├── GroupFailed          25   a group of tests failed
│   ├── GroupMissing         26   a group that is asked for was not run
│   ├── GpuMissing           27   the gpu group is asked for and did not pass
│   ├── OtherSuite           28   the tests or patches were others than this checkout's
│   ├── Damaged              29   the image's own parts contradict each other: a flipped byte, a missing layer
│   ├── TagWouldMove         30   a tag is at another image, and --move was not given
│   ├── RegistryFailed       31   a registry does not answer, or cannot store (full, slow, stopped)
│   ├── RegistryDenied       32   a registry asks for other credentials
│   ├── NothingToRollBack    33   the log names no image before this one
│   ├── TagMovedElsewhere    34   a tag is not where the log says it was put
│   └── OtherSbom            35   the SBOM is not the one the receipt names
├── DownloadDenied           40   401, 403: a licence to accept, a token to give
├── NotThere                 41   404: no such repository, revision or file
├── HostFailed               42   no answer, 429 or 5xx, cut lines, after every try
├── WrongBytes                4   (InputRefused) not the bytes that were declared; nothing of them is kept
└── NoRoom                    3   (EnvironmentUnfit) the disk is full, or would be
"""

from __future__ import annotations

import errno
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit, InputRefused, VldockError
from vldock.common.filesystem.permissions import nearest_existing, whoami, why_unwritable


class Refusal(VldockError):
    """A receipt, image or registry lacks what a promotion needs."""


class ReceiptUnreadable(Refusal):
    """There is no receipt, or the file is not one."""

    exit_code = 20


class OtherImage(Refusal):
    """The receipt is of another image."""

    exit_code = 21


class BadSignature(Refusal):
    """The receipt was changed after it was signed."""

    exit_code = 22


class UnknownKey(Refusal):
    """The signature is by none of the keys."""

    exit_code = 23


class Unsigned(Refusal):
    """Not signed, and that was not allowed."""

    exit_code = 24


class GroupFailed(Refusal):
    """A group of tests failed."""

    exit_code = 25


class GroupMissing(Refusal):
    """A required group was not run."""

    exit_code = 26


class GpuMissing(Refusal):
    """The gpu group is required and did not pass."""

    exit_code = 27


class OtherSuite(Refusal):
    """The tests or patches were others than this checkout's."""

    exit_code = 28


class Damaged(Refusal):
    """The parts of an image contradict each other."""

    exit_code = 29


class TagWouldMove(Refusal):
    """A tag points to another image, and --move is not set."""

    exit_code = 30


class RegistryFailed(Refusal):
    """A registry does not answer, or cannot store."""

    exit_code = 31


class RegistryDenied(Refusal):
    """A registry asks for other credentials."""

    exit_code = 32


class NothingToRollBack(Refusal):
    """The log names no image before this one."""

    exit_code = 33


class TagMovedElsewhere(Refusal):
    """A tag is not where the log says it was put."""

    exit_code = 34


class OtherSbom(Refusal):
    """The SBOM is not the one the receipt names."""

    exit_code = 35


class DownloadDenied(VldockError):
    """The host asks for a token, or for a licence to be accepted."""

    exit_code = 40


class NotThere(VldockError):
    """The host knows no such repository, revision or file."""

    exit_code = 41


class HostFailed(VldockError):
    """The host did not answer, or said 'later' at every try."""

    exit_code = 42


class WrongBytes(InputRefused):
    """The bytes differ from the declared ones."""


class NoRoom(EnvironmentUnfit):
    """The disk cannot hold it."""


class Stopped(Exception):
    """Ctrl-C was pressed: a worker ends at the next chunk."""


def disk_error(error: OSError, path: Path) -> VldockError:
    """Return the user's error for a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoom(
            f"the disk is full: {path}",
            expected="room for the rest of it",
            hint="free some; the same command goes on from the part that is there",
        )
    where = nearest_existing(path.parent)
    return EnvironmentUnfit(
        f"{path} cannot be written: {why_unwritable(where, whoami()) if error.errno in PERMISSION else error}",
        expected="a folder this user may write",
        hint=f"sudo chown -R $(id -u):$(id -g) {where}, or name another folder",
    )


PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)


def error_text(error: BaseException) -> str:
    """Return an error in one line.

    The engine's own words, or the innermost cause of a failed connection.
    """
    inner: BaseException = error
    while (below := inner.__cause__ or inner.__context__) is not None and not getattr(inner, "explanation", None):
        inner = below
    words = getattr(inner, "explanation", None) or str(inner) or str(error) or type(inner).__name__
    return " ".join(str(words).split())
