"""Snapshots in the Hugging Face cache, read from its files: present, complete.

Nothing is imported or fetched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common import hub_cache_layout
from vldock.common.cache_env import HUGGINGFACE

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
INDEXES = ("*.safetensors.index.json", "*.bin.index.json")


@dataclass(frozen=True)
class Snapshot:
    """Cached repository: commit, missing files, and a flaw.

    The flaw hides the commit.
    """

    repo: str
    revision: str | None
    missing: tuple[str, ...] = ()
    hidden: hub_cache_layout.Reference | None = None

    @property
    def whole(self) -> bool:
        """Whether it can be loaded offline."""
        return self.revision is not None and not self.missing


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the folder from_pretrained reads."""
    return Path(environ.get("TRANSFORMERS_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or HUGGINGFACE)


def snapshot(repo: str, environ: Mapping[str, str] = os.environ) -> Snapshot:
    """Return the cached snapshot of `repo` at its main branch."""
    folder = hub_cache_layout.folder(cache_root(environ), repo)
    found = hub_cache_layout.read_reference(folder)
    if found is None or found.commit is None:
        return Snapshot(repo, None, hidden=found)
    return Snapshot(repo, found.commit, tuple(_missing(hub_cache_layout.snapshot(folder, found.commit))))


def _missing(files: Path) -> list[str]:
    """Return the missing files: a config, an index's shards, or all weights."""
    missing = [] if (files / "config.json").exists() or (files / "tokenizer_config.json").exists() else ["config.json"]
    indexes = [path for pattern in INDEXES for path in files.glob(pattern)]
    shards = {name for path in indexes for name in json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()}
    missing += sorted(name for name in shards if not (files / name).exists())
    if not indexes and not any(path.exists() for pattern in WEIGHTS for path in files.glob(pattern)):
        missing.append("weights")
    return missing
