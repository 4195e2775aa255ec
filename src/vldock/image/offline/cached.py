"""Cached state of a data set.

Prepared Arrow files, and snapshots of its repository.
<HF_DATASETS_CACHE>/<org>___<name>/<configuration>/<version>/<hash>/   Arrow files and dataset_info.json
<HF_HUB_CACHE>/datasets--<org>--<name>/snapshots/<commit>/             the files of the repository
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from vldock.common import hub_cache_layout
from vldock.common.dataset_names import resolve_dataset

DATA = (".parquet", ".arrow", ".json", ".jsonl", ".csv", ".tsv", ".txt", ".zip", ".tar", ".gz", ".zst")
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True)
class Prepared:
    """Arrow files of one configuration: folder, declared splits, missing files."""

    path: Path
    splits: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The cache's root folder."""
        return self.path.parents[3]

    @property
    def config(self) -> str:
        """The configuration's folder name."""
        return self.path.parent.parent.name

    @property
    def version(self) -> str:
        """The version's folder name."""
        return self.path.parent.name

    @property
    def hash(self) -> str:
        """Name of the folder.

        For a data set from the Hub it is the commit.
        """
        return self.path.name


@dataclass(frozen=True)
class Snapshot:
    """One revision of the repository: data files, dangling links, missing shards.

    `named`: whether a branch names it.
    """

    path: Path
    files: tuple[str, ...]
    missing: tuple[str, ...] = ()
    named: bool = False

    @property
    def commit(self) -> str:
        """The revision."""
        return self.path.name


@dataclass(frozen=True)
class Cached:
    """Everything cached of one data set, newest first.

    `unfinished` are folders of a killed process.
    """

    prepared: tuple[Prepared, ...]
    snapshots: tuple[Snapshot, ...]
    unfinished: tuple[Path, ...] = ()


def find(name: str, *, arrow: Path, hub: Path, also: tuple[Path, ...] = ()) -> Cached:
    """Return the cached state of the data set `name`.

    Arrow files are searched in `arrow`, snapshots in `hub`, then both in `also`.
    Raises PermissionError where they cannot be read.
    """
    found: list[Path] = []
    for folder in _folders_of(arrow_name(name), arrow, *also):
        found += sorted(folder.glob("*/*/*"), key=lambda path: -path.stat().st_mtime)
    whole = [path for path in found if path.is_dir() and not path.name.endswith(".incomplete")]
    unfinished = tuple(path for path in found if path.is_dir() and path.name.endswith(".incomplete"))
    snapshots = [one for folder in _folders_of(_repository_name(name), hub, *also) for one in _snapshots(folder)]
    return Cached(tuple(map(_prepared, whole)), tuple(snapshots), unfinished)


def find_as_named(name: str, *, arrow: Path, hub: Path, also: tuple[Path, ...] = ()) -> tuple[str, Cached]:
    """Return the cached state under `name` as typed, else under the repository it means, and that name."""
    held = find(name, arrow=arrow, hub=hub, also=also)
    meant = resolve_dataset(name)
    if held != Cached((), ()) or meant == name:
        return name, held
    return meant, find(meant, arrow=arrow, hub=hub, also=also)


def list_names(*roots: Path) -> dict[str, Path]:
    """Return the names of all data sets cached below `roots`, each with the first folder that holds it.

    A repository's folder spells a name as the Hub does; the folder of its Arrow files is the same data set.
    """
    paths = [path for root in _readable(*roots) for path in sorted(root.iterdir())]
    found: dict[str, Path] = {}
    for path in paths:
        repository = hub_cache_layout.repo_of(path)
        if hub_cache_layout.is_dataset(repository) and _snapshots(path):
            found.setdefault(repository.removeprefix(hub_cache_layout.DATASETS), path)
    known = {arrow_name(name) for name in found}
    for path in paths:
        if path.name not in known and any(path.glob("*/*/*/dataset_info.json")):
            found.setdefault(path.name.replace("___", "/"), path)
    return found


def commit_of(name: str, revision: str, *, hub: Path, also: tuple[Path, ...] = ()) -> str:
    """Return the commit of a cached branch or tag.

    Any other `revision` is taken as a commit.
    """
    folders = (root / _repository_name(name) for root in (hub, *also))
    found = (hub_cache_layout.read_reference(folder, revision) for folder in folders)
    return next((one.said for one in found if one), revision)


def _repository_name(name: str) -> str:
    return hub_cache_layout.folder_name(f"{hub_cache_layout.DATASETS}{name}")


def arrow_name(name: str) -> str:
    """Return the folder name of a data set, as datasets.naming makes it."""
    *above, last = name.split("/")
    snake = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", last)
    snake = re.sub(r"([a-z\d])([A-Z])", r"\1_\2", snake).lower()
    return "___".join((*above, snake))


def _prepared(path: Path) -> Prepared:
    """Check the files of one folder of Arrow files.

    Each declared split must have its files, and each file must end as an Arrow stream does.
    """
    info = path / "dataset_info.json"
    if not info.is_file():
        return Prepared(path, (), ("dataset_info.json",))
    splits = json.loads(info.read_text(encoding="utf-8")).get("splits") or {}
    stem = arrow_name(path.parents[2].name.split("___")[-1])
    missing: list[str] = []
    for split, about in splits.items():
        count = len(about.get("shard_lengths") or ())
        shards = [f"-{index:05d}-of-{count:05d}" for index in range(count)] or [""]
        names = [f"{stem}-{split}{shard}.arrow" for shard in shards]
        missing += [name for name in names if not _ends_well(path / name)]
    return Prepared(path, tuple(splits), tuple(missing))


def _ends_well(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size < len(END_OF_STREAM):
        return False
    with path.open("rb") as file:
        file.seek(-len(END_OF_STREAM), os.SEEK_END)
        return file.read() == END_OF_STREAM


def _folders_of(name: str, first: Path, *others: Path) -> list[Path]:
    """Return the folders called `name` below the roots, each once.

    An unreadable one below `first` raises PermissionError.
    """
    _is_folder(first / name)
    return _readable(*(root / name for root in (first, *others)))


def _readable(*paths: Path) -> list[Path]:
    """Return the folders this process can read; the first name of each."""
    there = [path for path in paths if os.access(path, os.R_OK | os.X_OK) and path.is_dir()]
    return list({path.resolve(): path for path in reversed(there)}.values())[::-1]


def _snapshots(repository: Path) -> list[Snapshot]:
    if not _is_folder(repository / "snapshots"):
        return []
    named = {one.said for one in hub_cache_layout.read_references(repository)}
    found = [_snapshot(path, named) for path in (repository / "snapshots").iterdir() if path.is_dir()]
    return sorted(found, key=lambda one: (not one.named, -one.path.stat().st_mtime))


def _snapshot(path: Path, named: set[str]) -> Snapshot:
    files = sorted(file for file in path.rglob("*") if file.is_symlink() or file.is_file())
    inside = {file: str(file.relative_to(path)) for file in files}
    there = {name for file, name in inside.items() if file.exists()}
    data = tuple(name for name in inside.values() if name in there and name.endswith(DATA))
    wanted = {*inside.values(), *(sibling for name in data for sibling in _siblings(name))}
    return Snapshot(path, data, tuple(sorted(wanted - there)), path.name in named)


def _siblings(name: str) -> list[str]:
    """Return all shards of a file name's set: x-00000-of-00002.parquet has x-00001-of-00002.parquet."""
    counted = re.fullmatch(r"(.*-)\d{5}(-of-(\d{5})\D.*)", name)
    return [f"{counted[1]}{index:05d}{counted[2]}" for index in range(int(counted[3]))] if counted else []


def _is_folder(path: Path) -> bool:
    """Return whether a folder exists; an unreadable one raises PermissionError."""
    try:
        with os.scandir(path):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
