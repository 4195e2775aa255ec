"""Helpers of the tests of downloads.

They are a command, requests, a silent listener, and unpublished repositories.
"""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from support.fake_hub import COMMIT, FakeHub, etag
from support.tiny_weights import table
from vldock.common import hub_cache_layout
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.locked_files import HubFile, LockedRepo
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.downloads.request import FileRequest
from vldock.host.util.retry import RetryPolicy

TABLES = {"POPE": table("POPE", 250_000), "MMStar": table("MMStar")}
PATH = "/tsv/POPE.tsv"
HURRY = RetryPolicy(attempts=3, longest=0, first=0)


class NoProgress:
    """A listener that ignores progress."""

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        """Do nothing."""


def fetch(locks: Path, *words: str) -> int:
    """Run the command with one try a request; return its exit code."""
    return invoke(cli.cli, ["fetch", *words, "--locks", str(locks), "--retries", "1"])


def web(hub: FakeHub, *, token: str | None = None, seconds: float = 300.0, patience: RetryPolicy = HURRY) -> Web:
    """Return a client of the hub's downloads."""
    return Web(Hub(hub.url, token), policy=patience, timeout=(300.0, seconds))


def content(seed: int) -> bytes:
    """Return random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(random.Random(seed).randint(2, 900_000))


def wanted(hub: FakeHub, folder: Path, body: bytes, **declared: object) -> FileRequest:
    """Put a benchmark's file on the hub and return its request."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    hub.files[PATH] = body
    return FileRequest("POPE.tsv", "POPE", hub.url + PATH, folder / "POPE.tsv", ExpectedFile(md5=md5), **declared)  # type: ignore[arg-type]


def put(cache: Path, repo: str, files: dict[str, bytes]) -> LockedRepo:
    """Write a repository's blobs and return its lock, for later links."""
    listed = []
    for name, content in files.items():
        blob = etag(name, content)
        path = hub_cache_layout.folder(cache, repo) / "blobs" / blob
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        lfs = len(blob) == 64
        listed.append(HubFile(name, len(content), blob if lfs else None, None if lfs else blob, lfs))
    return LockedRepo(repo, COMMIT, None, tuple(listed))
