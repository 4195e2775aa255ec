"""md5 of benchmark files, computed once per file."""

from __future__ import annotations

import functools
from pathlib import Path

from vldock.common import hashing


def md5_of(path: Path) -> str:
    """Return the md5 of a file, cached.

    The cache is valid for as long as the file's size and time are the same.
    """
    status = path.stat()
    return _md5_of(path, status.st_size, status.st_mtime_ns)


@functools.cache
def _md5_of(path: Path, _size: int, _time: int) -> str:
    return hashing.md5_file(path)
