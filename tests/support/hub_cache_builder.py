"""Hugging Face caches made by hand.

They have blobs named by digest, snapshots of links, and references.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

COMMIT = "4481d270cc22fd5c4d1bb5df129622006ccd9234"
OTHER = "9" * 40
REPO = "liuhaotian/llava-v1.5-7b"


def add_repo(
    hub: Path, *, repo: str = REPO, kind: str = "models", commit: str = COMMIT, ref: str | None = "main", **files: bytes
) -> Path:
    """Add a revision of a repository; return its folder.

    A keyword is a file: `config_json=b"{}"` is config.json.
    """
    folder = hub / f"{kind}--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "blobs").mkdir(exist_ok=True)
    for name, content in (files or {"config_json": b"{}"}).items():
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name.replace("_", ".")).symlink_to(f"../../blobs/{blob.name}")
    if ref:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / ref).write_text(commit, encoding="utf-8")
    return folder


def blob(cache: Path, content: bytes = b"weights") -> Path:
    """Return the path of a blob of REPO in a cache root."""
    name = hashlib.sha256(content).hexdigest()
    return cache / "huggingface/models--liuhaotian--llava-v1.5-7b/blobs" / name


def later(hours: float = 2) -> float:
    """Return the time in some hours, in seconds since 1970."""
    return time.time() + hours * 3600
