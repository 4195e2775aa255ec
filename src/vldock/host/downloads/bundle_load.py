"""Unpack a bundle without a network.

Every byte is checked first, then every file renamed, refs/main last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vldock.common.errors import InputRefused, UsageError
from vldock.common.hub_cache_layout import HUB_FOLDER
from vldock.host.downloads.bundle_read import AGAIN, Manifest, Members, open_members, read_manifest, refuse_damaged
from vldock.host.downloads.bundle_write import DATA
from vldock.host.downloads.execute import require_bytes
from vldock.host.downloads.hub_snapshot import publish
from vldock.host.downloads.partial_file import (
    ChecksumAccumulator,
    ExpectedFile,
    PartialFile,
    file_checksums,
    rename_durably,
)
from vldock.host.errors import WrongBytes, disk_error

TABLE = re.compile(rf"{DATA}/[A-Za-z0-9][\w.\-]*\.tsv")
BLOB = re.compile(rf"{HUB_FOLDER}/(?:models|datasets)--[A-Za-z0-9][\w.\-]*/blobs/([0-9a-f]{{40}}|[0-9a-f]{{64}})")
CHUNK = 1 << 20
Say = Callable[[str], None]


@dataclass(frozen=True)
class LoadedBundle:
    """Result of a load: files placed, files already there, contents of the bundle."""

    placed: int
    kept: int
    benchmarks: tuple[str, ...]
    repositories: tuple[str, ...]


def load(
    path: Path, *, data: Path | None, hub: Path | None, log: Say, manifest_sha256: str | None = None
) -> LoadedBundle:
    """Load a bundle into a data folder and a hub cache.

    Its benchmarks go into `data`, its weights into the hub cache `hub`. Nothing gets its name before every byte of the
    bundle was checked; a second load keeps existing files. Raises WrongBytes naming the file that is changed, cut or
    missing, InputRefused for what is no bundle or for a benchmark that is there with other bytes, NoRoom, UsageError
    where a folder it needs was not given.
    """
    with refuse_damaged(path), ExitStack() as stack:
        members = stack.enter_context(open_members(path))
        manifest = read_manifest(members, path, manifest_sha256)
        targets = {name: _target(name, data=data, hub=hub) for name in manifest.files}
        kept = {name for name, target in targets.items() if _is_there(target, manifest.files[name])}
        for folder in {target.parent for target in targets.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        _require_room(manifest, targets, kept)
        parts = _check(members, manifest, targets, kept, log=log, path=path)
    for name, part in parts.items():
        rename_durably(part, targets[name])
    for repo in manifest.repositories:
        assert hub is not None
        publish(hub, repo)
    repos = tuple(repo.repo for repo in manifest.repositories)
    return LoadedBundle(len(parts), len(kept), manifest.benchmarks, repos)


def _check(
    members: Members, manifest: Manifest, targets: dict[str, Path], kept: set[str], *, log: Say, path: Path
) -> dict[str, Path]:
    """Read every file of the bundle into a part beside its place.

    All parts are removed when one byte is wrong.
    """
    parts: dict[str, Path] = {}
    seen: set[str] = set()
    try:
        for name, stream in members:
            if name not in manifest.files:
                log(f"{name} is ignored: the manifest does not name it")
                continue
            part = targets[name].with_name(f"{targets[name].name}.part")
            if name not in kept:
                parts[name] = part
            _read(name, stream, manifest.files[name], None if name in kept else part)
            seen.add(name)
        for name in manifest.files:
            if name not in seen:
                raise WrongBytes(f"{path} lacks {name}", expected="every file its manifest names", hint=AGAIN)
    except BaseException:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise
    return parts


def _read(name: str, stream: IO[bytes], expected: ExpectedFile, path: Path | None) -> None:
    if path is None:
        running = ChecksumAccumulator(expected)
        while chunk := stream.read(CHUNK):
            running.update(chunk)
        same = expected.problem(running.checksums()) is None
    else:
        path.unlink(missing_ok=True)
        part = PartialFile(path, expected)
        try:
            while chunk := stream.read(CHUNK):
                part.append(chunk)
            same = expected.problem(part.checksums()) is None
            part.settle()
        except OSError as error:
            raise disk_error(error, path) from error
        finally:
            part.close()
    if not same:
        raise WrongBytes(f"{name} in the bundle is not what its manifest says", expected=str(expected), hint=AGAIN)


def _is_there(target: Path, expected: ExpectedFile) -> bool:
    """Return whether the file is in place and right.

    A wrong blob is removed, a wrong benchmark is the user's and refused.
    """
    if not target.is_file():
        return False
    problem = expected.problem(file_checksums(target, expected))
    if problem is None:
        return True
    if target.parent.name == "blobs":
        target.unlink()
        return False
    raise WrongBytes(
        f"{target} is there and has {problem}",
        expected=str(expected),
        hint=f"it is not overwritten; move it away: mv {target} {target}.other",
    )


def _require_room(manifest: Manifest, targets: dict[str, Path], kept: set[str]) -> None:
    needs: dict[int, tuple[int, Path]] = {}
    for name, target in targets.items():
        if name not in kept:
            disk = target.parent.stat().st_dev
            needs[disk] = (needs.get(disk, (0, target))[0] + (manifest.files[name].size or 0), target.parent)
    for need, folder in needs.values():
        require_bytes(need, folder)


def _target(name: str, *, data: Path | None, hub: Path | None) -> Path:
    """Return the path of a file of the bundle.

    Raises InputRefused for a path that is none of a bundle's.
    """
    root, option = (data, "--data") if TABLE.fullmatch(name) else (hub, "--cache")
    if not TABLE.fullmatch(name) and not BLOB.fullmatch(name):
        raise InputRefused(
            f"the manifest names {name!r}", expected=f"{DATA}/NAME.tsv or {HUB_FOLDER}/models--*/blobs/*"
        )
    if root is None:
        raise UsageError(f"the bundle holds {name}, and no folder for it was given", expected=f"{option} FOLDER")
    return root / name.partition("/")[2]
