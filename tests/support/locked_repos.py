"""Repositories in a hub cache, not yet published."""

from __future__ import annotations

from pathlib import Path

from support.fake_hub import COMMIT, etag
from vldock.common import hub_cache_layout
from vldock.host.downloads.locked_files import HubFile, LockedRepo


def put(cache: Path, repo: str, files: dict[str, bytes]) -> LockedRepo:
    """Write a repository's blobs, and what is to be linked to them."""
    listed = []
    for name, content in files.items():
        blob = etag(name, content)
        path = hub_cache_layout.folder(cache, repo) / "blobs" / blob
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        lfs = len(blob) == 64
        listed.append(HubFile(name, len(content), blob if lfs else None, None if lfs else blob, lfs))
    return LockedRepo(repo, COMMIT, None, tuple(listed))
