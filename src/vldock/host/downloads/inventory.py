"""Inventory of benchmarks, weights and data sets on disk, compared with the locks.

Complete, partial, corrupt, foreign or absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vldock.common import hub_cache_layout, remote_code, weight_files
from vldock.common.hub_cache_layout import size_of
from vldock.common.tables.editions import CHOICE
from vldock.common.weight_files import Fault
from vldock.host.downloads.hub_snapshot import read_record
from vldock.host.downloads.locked_files import LockedData, LockedRepo
from vldock.host.downloads.partial_file import file_checksums

Kind = Literal["data", "weights", "datasets"]
State = Literal["complete", "flawed", "partial", "corrupt", "foreign", "absent"]
DERIVED = "_local.tsv"  # VLMEvalKit's own copy of a file above 1 GB, without the images


@dataclass(frozen=True)
class Item:
    """One benchmark or repository: state, path, size, notes by file; a table's rows.

    `mends`: nothing is lost; the command hub_cache_layout.REPAIR makes it loadable.
    """

    kind: Kind
    name: str
    state: State
    path: str
    size: int = 0
    notes: tuple[str, ...] = ()
    mends: bool = False
    rows: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def data_item(locked: LockedData, root: Path, *, quick: bool = False) -> Item:
    """Return the item of one benchmark's file.

    `quick` trusts a declared size, or any without one.
    """
    path = root / locked.file
    if not path.is_file():
        part = path.with_name(f"{path.name}.part")
        if part.is_file():
            return Item("data", locked.name, "partial", str(path), part.stat().st_size, (f"{part.name} is unfinished",))
        return Item("data", locked.name, "absent", str(path), notes=(f"{path.name} is not there",))
    size = path.stat().st_size
    if quick:
        wrong = f"{size} bytes" if locked.size is not None and size != locked.size else None
    else:
        seen = file_checksums(path, locked.expected)
        wrong = locked.expected.problem(seen)
        other = next((one for one in locked.editions if wrong and one.md5 == seen.md5), None)
        wrong = f"{wrong} ({other.name} edition: {CHOICE}={locked.name}={other.name})" if other else wrong
    notes = [f"{path.name} has {wrong}, not {locked.expected}"] if wrong else []
    notes += [f"{locked.edition} edition"] if locked.edition and not wrong else []
    return Item("data", locked.name, "corrupt" if wrong else "complete", str(path), size, tuple(notes))


def repo_item(locked: LockedRepo, cache: Path, *, quick: bool = False) -> Item:
    """Return the item of one repository in the hub cache `cache`.

    `quick` reads heads and tails only, no whole file.
    """
    place = hub_cache_layout.folder(cache, locked.repo)
    begun = tuple(f"blobs/{name} is unfinished" for name in hub_cache_layout.list_unfinished(place))
    reference = hub_cache_layout.read_reference(place)
    if reference is None or reference.commit is None:
        return _item_without_commit(locked, place, reference, begun)
    files = hub_cache_layout.snapshot(place, reference.commit)
    if locked.revision and reference.commit != locked.revision:
        note = f"refs/main is at {reference.commit}, the lock declares {locked.revision}"
        notes = (note, *remote_code.find_unrunnable(files))
        return Item(*_about(locked), "foreign", str(files), size_of(place), notes)
    dataset = hub_cache_layout.is_dataset(locked.repo)
    found = [] if dataset else list(weight_files.find_faults(files, need_weights=locked.only is None))
    found += [fault for fault in _lacking(locked, place, files) if fault.file not in {one.file for one in found}]
    faulty = {fault.file for fault in found}
    if not quick:
        found += [fault for fault in _changed(files, locked) if fault.file not in faulty]
    faulty = {fault.file for fault in found}
    differences = remote_code.describe_difference(locked.pin, files)
    other = [text for text in differences if text.partition(":")[0] not in faulty] + remote_code.find_unrunnable(files)
    state: State = "flawed" if other else "complete"
    if found:
        state = "partial" if all(fault.missing for fault in found) else "corrupt"
    return Item(*_about(locked), state, str(files), size_of(place), (*map(str, found), *other, *begun))


def _item_without_commit(
    locked: LockedRepo, place: Path, reference: hub_cache_layout.Reference | None, begun: tuple[str, ...]
) -> Item:
    """Return the item of a repository that loads nothing at refs/main."""
    mends = reference is not None and reference.mended is not None
    if reference:
        state: State = "corrupt" if mends else "partial"
        notes = (f"refs/main {reference.flaw}", *begun)
    else:
        there = begun or any((place / "blobs").glob("*"))
        state = "partial" if there else "absent"
        notes = begun or (("no commit at refs/main",) if there else ("nothing of it is there",))
    return Item(*_about(locked), state, str(place), size_of(place), notes, mends=mends)


def _about(locked: LockedRepo) -> tuple[Kind, str]:
    dataset = hub_cache_layout.is_dataset(locked.repo)
    return "datasets" if dataset else "weights", locked.repo.removeprefix(hub_cache_layout.DATASETS)


def foreign_data(root: Path, locked: Iterable[LockedData]) -> list[Item]:
    """Return the TSVs in `root` without a lock's declaration."""
    known = {item.file for item in locked}
    known |= {name.replace(".tsv", DERIVED) for name in known}
    return [
        Item("data", path.stem, "foreign", str(path), path.stat().st_size, ("no lock declares it",))
        for path in sorted(root.glob("*.tsv"))
        if path.name not in known
    ]


def foreign_repos(cache: Path, locked: Iterable[LockedRepo]) -> list[Item]:
    """Return the cached repositories without a lock's declaration."""
    known = {item.repo for item in locked}
    return [
        Item("weights", hub_cache_layout.repo_of(path), "foreign", str(path), size_of(path), ("no lock declares it",))
        for path in sorted(cache.glob("models--*"))
        if hub_cache_layout.repo_of(path) not in known
    ]


def _lacking(locked: LockedRepo, place: Path, files: Path) -> list[Fault]:
    """Return the files declared, or fetched at this commit, and absent."""
    written = read_record(place)
    same = written if written and written.revision == files.name else None
    declared = locked.files or (same.files if same else None) or ()
    paths = [item.path for item in declared]
    return [
        Fault(path, "is declared and not there", missing=True)
        for path in paths
        if not (files / path).is_symlink() and not (files / path).exists()
    ]


def _changed(files: Path, locked: LockedRepo) -> list[Fault]:
    """Return the files different from their blob's name or the lock.

    A checksum needs no network.
    """
    declared = {item.path: item for item in locked.files or ()}
    found = []
    for path in sorted(files.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(files))
        item, blob = declared.get(name), path.resolve().name
        wanted = blob if hub_cache_layout.BLOB.fullmatch(blob) else item.blob if item else None
        if item and wanted != item.blob:
            found.append(Fault(name, f"is blob {wanted}, the lock declares {item.blob}"))
        elif wanted and (seen := hub_cache_layout.content_name(path, wanted)) != wanted:
            found.append(Fault(name, f"is blob {wanted} and its bytes are {seen}"))
    return found
