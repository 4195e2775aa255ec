"""Lay files out as the Hugging Face hub cache does: refs, blobs, snapshots of relative links."""

from __future__ import annotations

import hashlib
from pathlib import Path

WEIGHTS = (".bin", ".model")


def blob_name(path: Path) -> str:
    """Return the name the hub gives a blob: sha256 for large files, git's blob sha1 for small text."""
    content = path.read_bytes()
    if path.suffix in WEIGHTS:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def revision_of(folder: Path) -> str:
    """Return 40 hex digits that follow from the names and contents in `folder`; no real revision is pretended."""
    listing = "\n".join(f"{path.name} {blob_name(path)}" for path in sorted(folder.iterdir()))
    return hashlib.sha1(f"vldock stand-in\n{listing}".encode(), usedforsecurity=False).hexdigest()


def install(folder: Path, repository: str, cache: Path) -> Path:
    """Copy the files of `folder` into `cache` as `repository` ("owner/name"), replacing what was there.

    Returns:
        The snapshot folder, which from_pretrained(repository) will read.
    """
    home = cache / f"models--{repository.replace('/', '--')}"
    for old in sorted(home.rglob("*"), reverse=True):
        old.rmdir() if old.is_dir() and not old.is_symlink() else old.unlink()
    revision = revision_of(folder)
    snapshot = home / "snapshots" / revision
    for made in (snapshot, home / "blobs", home / "refs"):
        made.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        blob = home / "blobs" / blob_name(path)
        blob.write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", blob.name))
    (home / "refs" / "main").write_text(revision, encoding="ascii")
    # transformers 4.37 takes a cache without this file for one of before v4.22 and tries to move it
    (cache / "version.txt").write_text("1", encoding="ascii")
    return snapshot
