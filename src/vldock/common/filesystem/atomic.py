"""Atomic writes: beside the file, fsync, then rename over it.

A reader sees the old file or the new one, complete. A killed process leaves its temporary file, `.NAME.xxxxxxxx.tmp`,
or `.part` in a hub cache, where `vldock cache prune` recognises it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def path_beside(path: Path, suffix: str) -> Path:
    """Return the path of a new hidden file beside `path`."""
    return path.with_name(f".{path.name}.{os.urandom(4).hex()}{suffix}")


@contextmanager
def write_atomically(path: Path, *, suffix: str = ".tmp", mode: int | None = None) -> Iterator[IO[bytes]]:
    """Yield a stream for the new content of `path`.

    At the end it takes the place of `path`; on an exception nothing changes.

    Parent folders are made. `mode` is the file's exact mode; None: as the umask has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path_beside(path, suffix)
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes, *, suffix: str = ".tmp", mode: int | None = None) -> Path:
    """Write bytes atomically and return `path`."""
    with write_atomically(path, suffix=suffix, mode=mode) as stream:
        stream.write(content)
    return path


def write_text(path: Path, text: str, *, suffix: str = ".tmp", mode: int | None = None) -> Path:
    """Write UTF-8 text atomically, without change.

    No newline is added at the end.
    """
    return write_bytes(path, text.encode(), suffix=suffix, mode=mode)


def write_json(path: Path, value: Any) -> Path:
    """Write `value` as indented JSON atomically, with a newline at the end."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
