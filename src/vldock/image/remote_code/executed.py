"""Remote code that runs in this process, by repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vldock.common import hashing, hub_cache_layout, remote_code

_executed: dict[str, dict[str, Any]] = {}


def record(name: str, facts: Mapping[str, Any]) -> None:
    """Record the facts of a repository's code (`describe`), which runs now."""
    _executed[name] = dict(facts)


def files_of(name: str) -> dict[str, str]:
    """Return {file: sha256} of a repository's code admitted so far."""
    return dict(_executed.get(name, {}).get("files", {}))


def facts_of(name: str) -> dict[str, Any] | None:
    """Return the facts of a repository's code that runs in this process, or None."""
    return _executed.get(name)


def name_of(repo: str) -> str:
    """Return a repository's name, that of a snapshot's folder too, or another folder's last part."""
    folder = Path(repo)
    if folder.parent.name == "snapshots" and folder.is_dir():
        return hub_cache_layout.repo_of(folder.parents[1])
    return folder.name if folder.is_dir() else repo


def describe(folder: Path, *more: str) -> dict[str, Any]:
    """Return the remote-code files of a folder, {file: sha256}, and one sha256 over them.

    `more` are files that transformers takes for its code as well.
    """
    names = sorted({*remote_code.find_code(folder).files, *more})
    files = {name: hashing.sha256_file(folder / name) for name in names}
    return {"sha256": hashlib.sha256(json.dumps(files).encode()).hexdigest(), "files": files}
