"""Digests of files and trees, in hexadecimal; OSError where one cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5_file(path: Path) -> str:
    """Return the md5 of a file, VLMEvalKit's checksum of a table."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def git_blob_file(path: Path) -> str:
    """Return the git object id of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: new_git_blob(path.stat().st_size)).hexdigest()


def new_git_blob(size: int) -> hashlib._Hash:
    """Return the initial hash of a git blob of `size` bytes.

    The blob's own bytes are not hashed yet. git hashes the length first.
    """
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def tree_sha256(files: Iterable[Path], root: Path) -> str:
    """Return the sha256 over (path below `root`, sha256 of content) of ordered files."""
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()
