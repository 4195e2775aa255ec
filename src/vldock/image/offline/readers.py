"""Readers of a data set, each through the datasets library.

The Hub is asked by `load_by_library` only.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.filesystem.permissions import can_write, private_folder, whoami
from vldock.image.offline.cached import Prepared


@dataclass(frozen=True)
class Request:
    """A requested data set: `split` and `config` as in datasets.load_dataset.

    None is all, or the only one.
    """

    name: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    in_memory: bool = False
    trust_remote_code: bool | None = None
    streaming: bool = False
    copy: bool = True  # Arrow files may be made of a snapshot

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits a slice like "train[:10%]+test" names."""
        parts = str(self.split).split("+") if self.split else []
        return tuple(match[0] for part in parts if (match := re.match(r"\s*[\w.]+", part)) and match[0] != "all")


def read_by_builder(prepared: Prepared, request: Request) -> Any:
    """Read Arrow files through the library's Cache builder.

    Its own offline mode does the same.
    It locks in their cache.
    """
    from datasets.packaged_modules.cache.cache import Cache

    builder = Cache(
        cache_dir=str(prepared.root),
        dataset_name=request.name.split("/")[-1],
        repo_id=request.name,
        config_name=prepared.config,
        version=prepared.version,
        hash=prepared.hash,
    )
    builder.download_and_prepare()
    return builder.as_dataset(split=request.split, in_memory=request.in_memory)


def read_files(prepared: Prepared, request: Request) -> Any:
    """Read Arrow files through the library's ArrowReader.

    It takes no lock, so a read-only cache is enough.
    """
    from datasets import Dataset, DatasetDict, DatasetInfo
    from datasets.arrow_reader import ArrowReader
    from datasets.naming import camelcase_to_snakecase

    info = DatasetInfo.from_directory(str(prepared.path))
    reader = ArrowReader(str(prepared.path), info)
    known = list((info.splits or {}).values())

    def read(split: str) -> Any:
        stem = camelcase_to_snakecase(request.name.split("/")[-1])
        return Dataset(**reader.read(stem, split, known, in_memory=request.in_memory))

    return read(request.split) if request.split else DatasetDict({one.name: read(one.name) for one in known})


def load_by_library(request: Request, root: Path) -> Any:
    """Load by datasets.load_dataset.

    Offline it finds cached scripts, online it asks the Hub.
    Where the Hub does not answer it takes any cached revision, so a requested one is looked up first.
    """
    import datasets
    from huggingface_hub import HfApi

    if request.revision:
        HfApi().dataset_info(request.name, revision=request.revision, timeout=30)
    return datasets.load_dataset(
        request.name,
        request.config,
        split=request.split,
        cache_dir=str(root),
        revision=request.revision,
        keep_in_memory=request.in_memory or None,
        trust_remote_code=request.trust_remote_code,
        streaming=request.streaming or not request.copy,
    )


def writable_root(root: Path) -> Path:
    """Return a writable folder for Arrow files.

    `root` if it is writable, else a private folder, lost with the container.
    """
    return root if can_write(root) else private_folder(os.environ, whoami(), "datasets")
