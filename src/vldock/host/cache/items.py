"""Items of the caches: models, data sets, benchmarks, features; size, files, last use.

Repositories are read by huggingface_hub's own cache manager.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vldock.host.cache.locations import CacheLocations, is_second_name, list_folder, walk

PARTIAL = (".incomplete", ".part")


@dataclass(frozen=True)
class Revision:
    """One revision of a repository: commit, names (none: detached), size in bytes."""

    commit: str
    refs: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Item:
    """One thing in a cache.

    `last_used` is the newest time of access in seconds since 1970, None where unknown.
    """

    kind: str
    name: str
    path: Path
    size: int
    files: int
    last_used: float | None
    revisions: tuple[Revision, ...] = ()


@dataclass(frozen=True)
class CorruptRepository:
    """A repository huggingface_hub cannot read, and the reason."""

    path: Path
    why: str


def hub_info(hub: Path) -> Any:
    """Return huggingface_hub's scan of a hub cache; a second name of a repository does not count."""
    from huggingface_hub import scan_cache_dir

    info = scan_cache_dir(hub)
    return replace(info, repos=frozenset(one for one in info.repos if not is_second_name(one.repo_path)))


def scan(locations: CacheLocations) -> list[Item]:
    """Return every item, the largest first within its kind."""
    items = [item for hub in locations.hubs for item in _repositories(hub)]
    items += [item for arrow in locations.arrows for item in _arrow(arrow)]
    items += [] if locations.data is None else _data(locations.data)
    items += [] if locations.features is None else _features(locations.features)
    items += _others(locations)
    kinds = list(dict.fromkeys(item.kind for item in items))
    return sorted(items, key=lambda item: (kinds.index(item.kind), -item.size, item.name))


def find_torn(hub: Path) -> list[CorruptRepository]:
    """Return the repositories huggingface_hub found corrupt.

    Folders that are no repository do not count.
    """
    found = []
    for warning in hub_info(hub).warnings:
        path = next((path for path in list_folder(hub) if "--" in path.name and f"/{path.name}" in str(warning)), None)
        if path is not None:
            found.append(CorruptRepository(path, str(warning).splitlines()[0]))
    return found


def measure(kind: str, name: str, path: Path, paths: Iterable[Path] = ()) -> Item:
    """Return an item measured on the disk: bytes, files, newest access."""
    own = [(path, path.lstat())] if path.is_file() else []
    states = [state for _, state in (*own, *walk(path)) if stat.S_ISREG(state.st_mode)]
    states += [extra.lstat() for extra in paths]
    return Item(
        kind, name, path, sum(state.st_size for state in states), len(states),
        max((state.st_atime for state in states), default=None),
    )  # fmt: skip


def _repositories(hub: Path) -> Iterator[Item]:
    for repo in hub_info(hub).repos:
        revisions = tuple(
            Revision(one.commit_hash, tuple(sorted(one.refs)), one.size_on_disk)
            for one in sorted(repo.revisions, key=lambda one: -one.last_modified)
        )
        last_used = repo.last_accessed or None
        yield Item(repo.repo_type, repo.repo_id, repo.repo_path, repo.size_on_disk, repo.nb_files, last_used, revisions)
    for one in find_torn(hub):
        yield measure("torn", one.path.name, one.path)


def _arrow(root: Path) -> Iterator[Item]:
    """`<root>/<org>___<name>/<config>/<version>/<hash>/`: one item per data set."""
    for folder in list_folder(root):
        if folder.is_dir() and folder.name not in ("downloads", "modules"):
            yield measure("arrow", folder.name.replace("___", "/"), folder)
    if (root / "downloads").is_dir():
        yield measure("arrow", "downloads (sources of the above)", root / "downloads")


def _data(root: Path) -> Iterator[Item]:
    for path in list_folder(root):
        if path.suffix == ".tsv":
            yield measure("benchmark", path.stem, path)
    for folder in list_folder(root / "images"):
        yield measure("images", folder.name, folder)


def _features(root: Path) -> Iterator[Item]:
    """`<root>/<prompt hash>/<data set>_vlm<index>`."""
    for prompt in list_folder(root):
        for path in list_folder(prompt):
            if not path.name.endswith(PARTIAL):
                yield measure("features", f"{prompt.name}/{path.name}", path)


def _others(locations: CacheLocations) -> Iterator[Item]:
    """Yield the folders of other tools below the root: torch, pip, matplotlib."""
    known = (*locations.hubs, *locations.arrows, *([locations.features] if locations.features else []))
    for path in list_folder(locations.root):
        if path.is_dir() and path not in known and "--" not in path.name and not path.name.startswith("."):
            if any(one.is_relative_to(path) for one in known):
                continue
            item = measure("other", path.name, path)
            if item.files:
                yield item
