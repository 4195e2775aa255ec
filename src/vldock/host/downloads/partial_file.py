"""A partial file: `NAME.part`, its running checksums, its expected content."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from vldock.common import hashing

CHUNK = 1 << 20


@dataclass(frozen=True)
class Checksums:
    """Size and sha256 of a file; md5 and git object id where required."""

    size: int
    sha256: str
    md5: str | None = None
    git: str | None = None


@dataclass(frozen=True)
class ExpectedFile:
    """Declared size and checksums of a file; None where not declared."""

    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    git: str | None = None

    def problem(self, seen: Checksums) -> str | None:
        """Return the first value that differs from the declaration, or None."""
        if self.size is not None and seen.size != self.size:
            return f"{seen.size} bytes"
        for kind in ("sha256", "md5", "git"):
            declared, found = getattr(self, kind), getattr(seen, kind)
            if declared is not None and found != declared:
                return f"{LABEL[kind]} {found}"
        return None

    def __str__(self) -> str:
        sums = [f"{LABEL[kind]} {value}" for kind in LABEL if (value := getattr(self, kind))]
        return ", ".join(([f"{self.size} bytes"] if self.size is not None else []) + sums) or "anything"


LABEL = {"sha256": "sha256", "md5": "md5", "git": "git object id"}


class ChecksumAccumulator:
    """Running checksums of bytes: sha256, and the other declared ones."""

    def __init__(self, expected: ExpectedFile) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if expected.md5 else None
        # git hashes the length first: with another length than declared, the size alone tells
        self._git = hashing.new_git_blob(expected.size or 0) if expected.git else None

    def update(self, chunk: bytes | memoryview) -> None:
        """Count these bytes in."""
        self.size += len(chunk)
        for digest in (self._sha256, self._md5, self._git):
            if digest is not None:
                digest.update(chunk)

    def checksums(self) -> Checksums:
        """Return the checksums so far."""
        return Checksums(
            self.size,
            self._sha256.hexdigest(),
            self._md5.hexdigest() if self._md5 else None,
            self._git.hexdigest() if self._git else None,
        )


class PartialFile:
    """Bytes received so far, of this process or an earlier one.

    One process at a time: a lock is held outside.
    """

    def __init__(self, path: Path, expected: ExpectedFile) -> None:
        self.path = path
        self._expected = expected
        self._stream = path.open("a+b", buffering=0)
        self._running = ChecksumAccumulator(expected)
        self._stream.seek(0)
        while chunk := self._stream.read(CHUNK):
            self._running.update(chunk)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._running.size

    def append(self, chunk: bytes) -> None:
        """Add bytes at the end; a kill after this loses none of them."""
        view = memoryview(chunk)
        while view:
            written = self._stream.write(view) or 0
            self._running.update(view[:written])
            view = view[written:]

    def restart(self) -> None:
        """Begin again with no bytes."""
        self._stream.truncate(0)
        self._running = ChecksumAccumulator(self._expected)

    def checksums(self) -> Checksums:
        """Return the checksums of the bytes so far."""
        return self._running.checksums()

    def settle(self) -> None:
        """Sync the bytes to the disk, before the file gets its name."""
        os.fsync(self._stream.fileno())

    def place(self, path: Path) -> None:
        """Rename it to `path`: fsync, rename, fsync of the folder."""
        self.settle()
        rename_durably(self.path, path)

    def discard(self) -> None:
        """Remove it."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file without moving it."""
        self._stream.close()


def file_checksums(path: Path, expected: ExpectedFile) -> Checksums:
    """Read a file; return its declared checksums and its sha256."""
    running = ChecksumAccumulator(expected)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            running.update(chunk)
    return running.checksums()


def rename_durably(source: Path, target: Path) -> None:
    """Rename within a file system, so that it outlives a power cut."""
    source.replace(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
