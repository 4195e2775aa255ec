"""sha256 of files, cached for large ones.

A large file is read again when its size, time or inode has changed; a small one, as code and settings are, always.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vldock.common import hashing
from vldock.common.cache_env import CACHE_ROOT
from vldock.common.filesystem.atomic import write_json

SMALL_BYTES = 1_000_000
REPORT_BYTES = 1_000_000_000  # reading more than this is announced


def cache_path() -> Path:
    """Return the file of cached digests."""
    return Path(os.environ.get("XDG_CACHE_HOME") or CACHE_ROOT) / "vldock" / "sha256.json"


def sha256_of(paths: Iterable[Path]) -> dict[Path, str]:
    """Return {path: sha256 in hexadecimal} of files.

    Links are followed. OSError where a file cannot be read.
    """
    real = {path: path.resolve() for path in paths}
    small = {target: hashing.sha256_file(target) for target in real.values() if target.stat().st_size < SMALL_BYTES}
    marks = {target: _mark(target) for target in real.values() if target not in small}
    known = _load() if marks else {}
    unread = [target for target, mark in marks.items() if known.get(str(target), {}).get("mark") != mark]
    size = sum(target.stat().st_size for target in unread)
    if size >= REPORT_BYTES:
        print(f"passport: reading {size / 1e9:.1f} GB once, for its sha256", file=sys.stderr, flush=True)
    for target in unread:
        known[str(target)] = {"mark": marks[target], "sha256": hashing.sha256_file(target)}
    if unread:
        _store(known)
    return {path: small.get(target) or known[str(target)]["sha256"] for path, target in real.items()}


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _load() -> dict[str, dict[str, Any]]:
    try:
        value = json.loads(cache_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _store(known: dict[str, dict[str, Any]]) -> None:
    """Write the cache of hashes.

    Where it cannot be written, only the next run's reading is repeated.
    """
    try:
        write_json(cache_path(), {name: value for name, value in known.items() if Path(name).exists()})
    except OSError as error:
        print(f"passport: digests are not remembered: {error}", file=sys.stderr, flush=True)
