"""Where huggingface_hub keeps a model: models--ORG--NAME/{blobs,snapshots,refs}, read as files.

A blob is named by its content: the sha256 of an LFS file (64 digits), the git object id of any other (40 digits).
`refs/main` holds the commit `from_pretrained(repo)` takes offline. `vldock.json` beside them is our own: which files of
that commit were fetched, so that their absence can be told without a network.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

RECORD = "vldock.json"
MAIN = "refs/main"
COMMIT = re.compile(r"[0-9a-f]{40}")
BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
UNFINISHED = (".part", ".incomplete")
CHUNK = 1 << 20


def folder(cache: Path, repo: str) -> Path:
    """Return the folder of a model repository below `cache`, which is the hub cache itself (HUGGINGFACE_HUB_CACHE)."""
    return cache / f"models--{repo.replace('/', '--')}"


def repo_of(path: Path) -> str:
    """Return the repository whose folder this is."""
    return path.name.removeprefix("models--").replace("--", "/", 1)


def commit_of(path: Path) -> str | None:
    """Return the commit at refs/main of a repository's folder, or None."""
    reference = path / MAIN
    return reference.read_text(encoding="utf-8").strip() if reference.is_file() else None


def snapshot(path: Path, commit: str) -> Path:
    """Return the folder of a commit's files."""
    return path / "snapshots" / commit


def content_name(path: Path, name: str) -> str:
    """Return what a blob called `name` is called by its content: git object id or sha256, by the length of the name."""
    if len(name) == 40:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def unfinished(path: Path) -> list[str]:
    """Return the names of downloads that were begun in a repository's folder and not finished."""
    return sorted(file.name for file in (path / "blobs").glob("*") if file.name.endswith(UNFINISHED))
