"""Snapshots in the Hugging Face cache, read from its files: where they are, what of them is used.

Nothing is imported or fetched.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common import hub_cache_layout, remote_code
from vldock.common.cache_env import HUGGINGFACE
from vldock.common.image_paths import WEIGHTS_LOCK


@dataclass(frozen=True)
class Snapshot:
    """Cached repository: commit, folder, and a flaw.

    The flaw hides the commit.
    """

    repo: str
    revision: str | None = None
    folder: Path | None = None
    hidden: hub_cache_layout.Reference | None = None


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the folder from_pretrained reads."""
    return Path(environ.get("TRANSFORMERS_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or HUGGINGFACE)


def snapshot(repo: str, environ: Mapping[str, str] = os.environ) -> Snapshot:
    """Return the cached snapshot of `repo` at its main branch."""
    place = hub_cache_layout.folder(cache_root(environ), repo)
    found = hub_cache_layout.read_reference(place)
    if found is None or found.commit is None:
        return Snapshot(repo, hidden=found)
    return Snapshot(repo, found.commit, hub_cache_layout.snapshot(place, found.commit))


@functools.cache
def used_files(repo: str, lock: str = WEIGHTS_LOCK) -> tuple[str, ...] | None:
    """Return the patterns of the files that are used of a repository; None for all.

    Of some only the tokenizer is: `only` of locks/weights.json.
    """
    entry = remote_code.read_entry(repo, Path(lock))
    return tuple(entry["only"]) if entry and entry["only"] is not None else None
