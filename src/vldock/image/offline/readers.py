"""The ways to read a data set, each by the datasets library's own hand; none of them reaches a network."""

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
    """What is asked for: `split` and `config` as datasets.load_dataset takes them; None is all, or the only one."""

    name: str
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    in_memory: bool = False
    trust_remote_code: bool | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits a slice like "train[:10%]+test" names."""
        parts = str(self.split).split("+") if self.split else []
        return tuple(match[0] for part in parts if (match := re.match(r"\s*[\w.]+", part)) and match[0] != "all")


def by_lookup(prepared: Prepared, asked: Request) -> Any:
    """Read Arrow files through the library's Cache builder, as its own offline mode does; it locks in their cache."""
    from datasets.packaged_modules.cache.cache import Cache

    builder = Cache(
        cache_dir=str(prepared.root),
        dataset_name=asked.name.split("/")[-1],
        repo_id=asked.name,
        config_name=prepared.config,
        version=prepared.version,
        hash=prepared.hash,
    )
    builder.download_and_prepare()
    return builder.as_dataset(split=asked.split, in_memory=asked.in_memory)


def by_files(prepared: Prepared, asked: Request) -> Any:
    """Read Arrow files through the library's ArrowReader: no lock, so a read-only cache will do."""
    from datasets import Dataset, DatasetDict, DatasetInfo
    from datasets.arrow_reader import ArrowReader
    from datasets.naming import camelcase_to_snakecase

    info = DatasetInfo.from_directory(str(prepared.path))
    reader = ArrowReader(str(prepared.path), info)
    known = list((info.splits or {}).values())

    def read(split: str) -> Any:
        stem = camelcase_to_snakecase(asked.name.split("/")[-1])
        return Dataset(**reader.read(stem, split, known, in_memory=asked.in_memory))

    return read(asked.split) if asked.split else DatasetDict({one.name: read(one.name) for one in known})


def by_library(asked: Request, root: Path) -> Any:
    """Leave it to datasets.load_dataset: offline it looks for data sets that are scripts, online it asks the Hub.

    Where the Hub does not answer it takes any revision of its cache: one that is asked for is looked up first.
    """
    import datasets
    from huggingface_hub import HfApi

    if asked.revision:
        HfApi().dataset_info(asked.name, revision=asked.revision, timeout=30)
    return datasets.load_dataset(
        asked.name,
        asked.config,
        split=asked.split,
        cache_dir=str(root),
        revision=asked.revision,
        keep_in_memory=asked.in_memory or None,
        trust_remote_code=asked.trust_remote_code,
    )


def place_to_prepare(root: Path) -> Path:
    """Return `root` where Arrow files can be written there, else a private folder that goes with the container."""
    return root if can_write(root) else private_folder(os.environ, whoami(), "datasets")
