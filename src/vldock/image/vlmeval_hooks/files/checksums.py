"""md5 of benchmark files, computed once per file."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


def md5_of(path: Path) -> str:
    """Return the md5 of a file, cached.

    The cache is valid for as long as the file's size and time are the same.
    """
    status = path.stat()
    return _md5_of(path, status.st_size, status.st_mtime_ns)


@functools.cache
def _md5_of(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
