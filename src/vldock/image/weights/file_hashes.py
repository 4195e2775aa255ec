"""sha256 of large files, remembered beside the caches: a file is read again when its size or time has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vldock.common.cache_env import CACHE_ROOT
from vldock.common.filesystem.atomic import write_json

TELL = 1_000_000_000  # bytes to be read from which on a line says what takes the time


def memory() -> Path:
    """Return where digests are remembered."""
    return Path(os.environ.get("XDG_CACHE_HOME") or f"{CACHE_ROOT}/xdg") / "vldock" / "sha256.json"


def sha256_of(paths: Iterable[Path]) -> dict[Path, str]:
    """Return {path: sha256 in hexadecimal} of files; links are followed. OSError where one cannot be read."""
    known = _recall()
    real = {path: path.resolve() for path in paths}
    marks = {target: _mark(target) for target in real.values()}
    unread = [target for target, mark in marks.items() if known.get(str(target), {}).get("mark") != mark]
    size = sum(target.stat().st_size for target in unread)
    if size >= TELL:
        print(f"passport: reading {size / 1e9:.1f} GB once, for its sha256", file=sys.stderr, flush=True)
    for target in unread:
        with target.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        known[str(target)] = {"mark": marks[target], "sha256": digest}
    if unread:
        _remember(known)
    return {path: known[str(target)]["sha256"] for path, target in real.items()}


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _recall() -> dict[str, dict[str, Any]]:
    try:
        value = json.loads(memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _remember(known: dict[str, dict[str, Any]]) -> None:
    """Write what is known; a cache that cannot be written costs the next run the same reading, and nothing else."""
    try:
        write_json(memory(), {name: value for name, value in known.items() if Path(name).exists()})
    except OSError as error:
        print(f"passport: digests are not remembered: {error}", file=sys.stderr, flush=True)
