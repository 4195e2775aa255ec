"""File locks (flock), released when their process ends.

A reader holds a shared lock on an open shard; removing one needs an exclusive lock; a writer locks its unfinished file.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem import permission_hints

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Lease:
    """Open, locked file; `close` or the end of the process releases it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def close(self) -> None:
        """Release the lock; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def lock_shared(path: Path) -> Lease | None:
    """Return a shared lock.

    None where the file is gone or being removed.
    """
    return _take(path, os.O_RDONLY, fcntl.LOCK_SH | fcntl.LOCK_NB)


def lock_exclusively(path: Path) -> Lease | None:
    """Return an exclusive lock; None where that is not possible.

    The file is gone, another process has a lock, or this user may not write it.
    """
    return _take(path, os.O_RDWR, fcntl.LOCK_EX | fcntl.LOCK_NB)  # NFS grants an exclusive lock to writers only


def create(path: Path) -> Lease:
    """Create the file `path`, locked exclusively. Raises FileExistsError."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        _lock(path, descriptor, fcntl.LOCK_EX)
        if _still(path, descriptor):
            return Lease(path, descriptor)
        os.close(descriptor)  # swept between its making and its locking


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for other processes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _lock(path, descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(path: Path, mode: int, operation: int) -> Lease | None:
    try:
        descriptor = os.open(path, mode | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if mode == os.O_RDWR and error.errno in permission_hints.NO_PERMISSION:
            return None
        raise
    if _lock(path, descriptor, operation) and _still(path, descriptor):
        return Lease(path, descriptor)
    os.close(descriptor)
    return None


def _lock(path: Path, descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(descriptor)
        if error.errno in NO_LOCKS:
            raise EnvironmentUnfit(
                f"{path}: the file system has no locks ({error.strerror})",
                expected="one where flock works (NFS: mounted without nolock)",
                hint="keep the feature cache on a local disk: --cache DIR",
            ) from error
        raise
    return True


def _still(path: Path, descriptor: int) -> bool:
    """Return whether the path still names the opened file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
