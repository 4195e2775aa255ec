"""Files written outside the workspace: usual places, compared before and after a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Below a home folder: where the tools of cache_env.py, and VLMEvalKit, write by default.
USUAL = (
    ".cache", ".config", ".local", ".huggingface", ".torch", ".triton", ".nv", ".matplotlib", ".ipython", ".nltk_data",
    "nltk_data", ".keras", ".pip", "LMUData",
)  # fmt: skip

Seen = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class WatchedPaths:
    """Folders watched with all below them, folders watched alone, and the allowed root."""

    deep: tuple[Path, ...]
    flat: tuple[Path, ...]
    allowed: Path


def watched_paths(home: Path, here: Path, allowed: Path) -> WatchedPaths:
    """Return the usual places below `home`, and `home` and the current folder themselves."""
    deep = tuple(home / name for name in USUAL)
    return WatchedPaths(deep, tuple(dict.fromkeys((home, here))), allowed)


def take_snapshot(where: WatchedPaths) -> dict[str, tuple[int, int]]:
    """Return the change time and size of each watched path.

    They are {path: (time of change in ns, size)} of the watched files and folders. The allowed root is omitted. Links
    are not followed; unreadable paths are omitted.
    """
    seen: dict[str, tuple[int, int]] = {}
    for path in _paths(where):
        try:
            found = path.lstat()
        except OSError:
            continue
        seen[str(path)] = (found.st_ctime_ns, found.st_size)
    return seen


def find_changes(before: Seen, after: Seen) -> list[str]:
    """Return new or changed files and new folders, sorted.

    A folder's own times are ignored.
    """
    return sorted(
        path
        for path, state in after.items()
        if path not in before or (state != before[path] and not Path(path).is_dir())
    )


def _paths(where: WatchedPaths) -> Iterator[Path]:
    for folder in where.flat:
        yield from _outside(folder.iterdir() if folder.is_dir() else (), where.allowed)
    for folder in where.deep:
        for parent, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not Path(parent, name).is_relative_to(where.allowed)]
            yield from _outside((Path(parent, name) for name in (*folders, *files)), where.allowed)


def _outside(paths: Iterable[Path], allowed: Path) -> Iterator[Path]:
    return (path for path in paths if not path.is_relative_to(allowed))
