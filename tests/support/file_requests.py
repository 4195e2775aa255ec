"""Requests of one file of a fake hub."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from support.fake_hub import FakeHub
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.downloads.request import FileRequest
from vldock.host.util.retry import RetryPolicy

PATH = "/tsv/POPE.tsv"
HURRY = RetryPolicy(attempts=3, longest=0, first=0)


def web(hub: FakeHub, *, token: str | None = None, seconds: float = 300.0, patience: RetryPolicy = HURRY) -> Web:
    """Return what fetches from the hub."""
    return Web(Hub(hub.url, token), policy=patience, timeout=(300.0, seconds))


def content(seed: int) -> bytes:
    """Return random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(random.Random(seed).randint(2, 900_000))


def wanted(hub: FakeHub, folder: Path, body: bytes, **declared: object) -> FileRequest:
    """Put a benchmark's file on the hub and return its request."""
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    hub.files[PATH] = body
    return FileRequest("POPE.tsv", "POPE", hub.url + PATH, folder / "POPE.tsv", ExpectedFile(md5=md5), **declared)  # type: ignore[arg-type]
