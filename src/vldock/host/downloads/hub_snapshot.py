"""Publish verified blobs as a snapshot in huggingface_hub's layout.

`from_pretrained(repo)` finds it offline.

Links come first, each by a rename; then the quick check of the whole; refs/main last, which makes the commit visible.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout, weight_files
from vldock.common.caches import links
from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import path_beside, write_json, write_text
from vldock.host.downloads.locked_files import HubFile, LockedRepo

UNFINISHED = hub_cache_layout.UNFINISHED[0]


def publish(cache: Path, repo: LockedRepo) -> Path:
    """Link a repository's files into snapshots/COMMIT and set refs/main, and the branch or tag it was asked by.

    The whole is checked before refs/main; returns the snapshot's folder.

    Raises InputRefused where the files the host has do not make a model (a shard its index names is not listed).
    """
    assert repo.revision is not None
    place = hub_cache_layout.folder(cache, repo.repo)
    target = hub_cache_layout.snapshot(place, repo.revision)
    for item in repo.files or ():
        link = target / item.path
        link.parent.mkdir(parents=True, exist_ok=True)
        _link(link, os.path.relpath(place / "blobs" / item.blob, link.parent))
    dataset = hub_cache_layout.is_dataset(repo.repo)
    found = () if dataset else weight_files.find_faults(target, need_weights=repo.only is None)
    if found:
        raise InputRefused(
            f"{repo.repo} at {repo.revision} is not whole: {'; '.join(map(str, found))}",
            expected="a repository whose files can be loaded; refs/main was not set",
            hint="another revision in locks/weights.json, or the model's page",
        )
    write_json(place / hub_cache_layout.RECORD, as_record(_with_kept(repo, read_record(place))))
    if not (cache / links.VERSION_FILE).exists():
        write_text(cache / links.VERSION_FILE, links.VERSION, suffix=UNFINISHED)
    if repo.reference != hub_cache_layout.BRANCH and not hub_cache_layout.COMMIT.fullmatch(repo.reference):
        _write_reference(place / "refs" / repo.reference, repo.revision)
    _write_reference(place / hub_cache_layout.MAIN, repo.revision)
    return target


def _write_reference(path: Path, commit: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, commit, suffix=UNFINISHED)


def _with_kept(repo: LockedRepo, before: LockedRepo | None) -> LockedRepo:
    """Return what is here of a commit: what was fetched now, and what an earlier fetch of more files brought."""
    if before is None or before.revision != repo.revision or repo.only is None:
        return repo
    files = {item.path: item for item in (*(before.files or ()), *(repo.files or ()))}
    return replace(repo, only=before.only and repo.only, files=tuple(files.values()))


def as_record(repo: LockedRepo) -> dict[str, Any]:
    """Return the record beside the blobs: commit and files fetched."""
    fetched = asdict(repo)
    return {"schema": 1, **{name: fetched[name] for name in ("repo", "revision", "only", "files")}}


def read_record(place: Path) -> LockedRepo | None:
    """Return the record of a repository's folder; None without one."""
    try:
        return from_record(json.loads((place / hub_cache_layout.RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def from_record(raw: dict[str, Any]) -> LockedRepo:
    """Return the repository written by `as_record`; KeyError or TypeError otherwise."""
    only = None if raw["only"] is None else tuple(raw["only"])
    return LockedRepo(raw["repo"], raw["revision"], only, tuple(HubFile(**item) for item in raw["files"]))


def _link(link: Path, target: str) -> None:
    if link.is_symlink() and str(link.readlink()) == target:
        return
    beside = path_beside(link, UNFINISHED)
    beside.symlink_to(target)
    beside.replace(link)
