"""Folders of caches on this machine: the Hub's, datasets', benchmarks, features."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common.caches import links
from vldock.common.errors import UsageError
from vldock.common.workspace import ROOT_VARIABLE

# A cache root as `vldock run --cache` mounts it, a HF_HOME, or a hub cache itself: looked for in this order.
HUB_BELOW = ("", "hub", "transformers", "huggingface", "huggingface/hub", "huggingface/transformers")
ARROW_BELOW = ("datasets", "huggingface/datasets")


@dataclass(frozen=True)
class CacheLocations:
    """The folders of caches; one neither named nor there is None or absent."""

    root: Path
    hubs: tuple[Path, ...]
    arrows: tuple[Path, ...]
    data: Path | None = None
    features: Path | None = None

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every tree to look at, none of them inside another."""
        wanted = [path for path in (self.root, self.data, self.features) if path is not None]
        return tuple(one for one in wanted if not any(one != other and one.is_relative_to(other) for other in wanted))


def default_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache of $WORKSPACE_ROOT, else $HF_HOME, else the Hub library's own default."""
    if environ.get(ROOT_VARIABLE):
        return Path(environ[ROOT_VARIABLE]) / "cache"
    return Path(environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")


def find(*, cache: Path | None = None, data: Path | None = None, features: Path | None = None) -> CacheLocations:
    """Return the caches in the folders named; `cache` None: this machine's own.

    Raises UsageError for a folder that is not there.
    """
    root = (cache or default_root()).expanduser().resolve()
    for option, folder in (("--cache", root), ("--data", data), ("--features", features)):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{option} {folder}: no such folder", expected="a cache folder of this machine")
    inside = root / "features"
    return CacheLocations(
        root=root,
        hubs=links.list_distinct(root / below for below in HUB_BELOW if _holds_repositories(root / below)),
        arrows=links.list_distinct(root / below for below in ARROW_BELOW),
        data=data.resolve() if data else None,
        features=features.resolve() if features else inside if inside.is_dir() else None,
    )


def list_repositories(hub: Path) -> list[Path]:
    """Return the folders of repositories in a hub cache; their second names (caches.links) do not count."""
    found = [path for path in list_folder(hub) if links.is_repository(path.name) and path.is_dir()]
    return sorted(path for path in found if not is_second_name(path))


def is_second_name(path: Path) -> bool:
    """Return whether a repository's folder is a link to the same repository in a hub cache beside this one."""
    real = path.resolve()
    return (
        path.is_symlink()
        and real.name == path.name
        and real.parent in map(Path.resolve, links.list_views(hf_home_of(path.parent)))
    )


def list_folder(folder: Path) -> list[Path]:
    """Return the paths in a folder; none where it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every path below `folder` with its own status.

    Links are not followed.
    """
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            try:
                yield path, path.lstat()
            except OSError:
                continue


def hf_home_of(hub: Path) -> Path:
    """Return the HF_HOME a hub cache is part of, or is itself."""
    return hub.parent if hub.name in links.VIEWS else hub


def _holds_repositories(folder: Path) -> bool:
    return any(list_repositories(folder))
