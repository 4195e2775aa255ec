"""Links that make the layouts of a cache root one place.

    <cache>/huggingface/models--ORG--NAME     the image: HF_HOME, HUGGINGFACE_HUB_CACHE, TRANSFORMERS_CACHE in one
    <cache>/huggingface/hub -> .              the Hub library's own layout, and a workspace's
    <cache>/huggingface/transformers -> .     a workspace's TRANSFORMERS_CACHE
    <cache>/datasets -> huggingface/datasets  a workspace's HF_DATASETS_CACHE

A folder already there stays, and what it holds is linked to from the others, and the other way round. Links are
relative, so that they hold under another mount point. What cannot be made is left out: a caller asks `find_view`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import permutations
from pathlib import Path

TYPE_CHECKING = False  # typing's, which would import it
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

REPOSITORIES = ("models--", "datasets--", "spaces--")
HOME, ARROW = "huggingface", "datasets"
VIEWS = ("hub", "transformers")  # of HF_HOME, beside itself
VERSION_FILE, VERSION = "version.txt", "1"  # transformers 4.37 moves an older cache's files where this is missing


def join_layouts(cache: Path) -> None:
    """Make the folders and links of a cache root; what exists, or cannot be written, stays."""
    home = cache / HOME
    inner, outer = home / ARROW, cache / ARROW
    _make(home)
    for name in VIEWS:
        _link(".", home / name)
    if _is_folder(outer):
        _link(f"../{ARROW}", inner)
    _make(inner)
    _link(f"{HOME}/{ARROW}", outer)
    _link_children((inner, outer), lambda name: not name.startswith("."))
    link_repositories(home)
    for view in list_views(home):
        _write_version(view)


def link_repositories(home: Path) -> None:
    """Link every repository below a HF_HOME from those of its views that lack it."""
    _link_children(list_views(home), is_repository)


def list_views(home: Path) -> tuple[Path, ...]:
    """Return the folders of a HF_HOME that may hold repositories, each real folder once."""
    return list_distinct((home, *(home / name for name in VIEWS)))


def list_distinct(folders: Iterable[Path]) -> tuple[Path, ...]:
    """Return each real folder once, by its first name."""
    found: dict[str, Path] = {}
    for folder in folders:
        if _is_folder(folder):
            found.setdefault(os.path.realpath(folder), folder)
    return tuple(found.values())


def list_repositories(folder: Path) -> set[str]:
    """Return the names of the repositories in a hub cache; none where it cannot be read."""
    return set(_names(folder, is_repository))


def is_repository(name: str) -> bool:
    """Return whether a folder of this name is a repository's."""
    return name.startswith(REPOSITORIES)


def find_view(home: Path, preferred: Path) -> Path | None:
    """Return the hub cache below a HF_HOME that shows all its repositories: `preferred`, else another, else None."""
    everything: set[str] = set().union(*map(list_repositories, list_views(home)))
    return next((view for view in (preferred, *list_views(home)) if list_repositories(view) >= everything), None)


def show_all(home: Path, folder: Path) -> None:
    """Fill `folder` with a link to each repository below a HF_HOME."""
    for view in list_views(home):
        for name in list_repositories(view):
            _link(str(view / name), folder / name)
    _write_version(folder)


def drop_dangling(home: Path) -> None:
    """Remove the links below a HF_HOME to a repository that is gone: a download would fail on them."""
    _drop_dangling(_distinct(list_views(home)), is_repository)


def _link_children(folders: Collection[Path], wanted: Callable[[str], bool]) -> None:
    """Link what one folder holds from the others."""
    there = _distinct(folders)
    _drop_dangling(there, wanted)
    for source, target in permutations(there, 2):
        for name in _names(source, wanted):
            if not (source / name).is_symlink():
                _link(os.path.relpath(source / name, target), target / name)


def _distinct(folders: Collection[Path]) -> list[Path]:
    return [Path(os.path.realpath(folder)) for folder in list_distinct(folders)]


def _drop_dangling(there: list[Path], wanted: Callable[[str], bool]) -> None:
    for folder in there if len(there) > 1 else ():
        for name in _names(folder, wanted, dangling=True):
            if _target(folder / name).parent in there:  # one of ours, and no link of the user's to a folder not mounted
                with suppress(OSError):
                    (folder / name).unlink()


def _target(link: Path) -> Path:
    return Path(os.path.normpath(link.parent / os.readlink(link)))  # noqa: PTH115


def _names(folder: Path, wanted: Callable[[str], bool], *, dangling: bool = False) -> list[str]:
    """Return the names of folders, or of links to nothing; none where the folder cannot be read."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if wanted(entry.name)]
    except OSError:
        return []
    if dangling:
        return [one.name for one in entries if one.is_symlink() and not os.path.exists(one.path)]  # noqa: PTH110
    return [one.name for one in entries if _is_folder(Path(one.path))]


def _write_version(hub: Path) -> None:
    """Write transformers' version of a cache: without it a folder that holds anything is migrated, with a warning."""
    with suppress(OSError), (hub / VERSION_FILE).open("x", encoding="ascii") as file:
        file.write(VERSION)


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises below a closed folder


def _make(folder: Path) -> None:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)


def _link(target: str, path: Path) -> None:
    """Make the link `path` where nothing of that name is."""
    with suppress(OSError):  # there already, read-only, another's folder, or a file system without links
        path.symlink_to(target)
