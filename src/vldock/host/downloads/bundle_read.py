"""Reader of a bundle: members in a stream, manifest first.

A bundle is a folder or .tar.zst. Nothing is written here.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused, UsageError
from vldock.common.hub_cache_layout import HUB_FOLDER
from vldock.host.downloads.bundle_write import ARCHIVE, MANIFEST, parse_manifest
from vldock.host.downloads.hub_listing import SAFE_PATH
from vldock.host.downloads.hub_snapshot import from_record
from vldock.host.downloads.locked_files import LockedRepo
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.errors import WrongBytes

REPO = re.compile(r"(datasets/)?[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?")
AGAIN = "nothing was loaded; carry the bundle over again, or make it anew: vldock fetch --bundle"
Members = Iterator[tuple[str, IO[bytes]]]


@dataclass(frozen=True)
class Manifest:
    """Contents of a bundle: files by path, repositories; `sha256` is its own."""

    files: dict[str, ExpectedFile]
    benchmarks: tuple[str, ...]
    repositories: tuple[LockedRepo, ...]
    sha256: str


def read_manifest(members: Members, path: Path, expected_sha256: str | None) -> Manifest:
    """Return the manifest, the first member of `members`.

    Raises WrongBytes where its sha256 is not `expected_sha256`, InputRefused where it is no manifest.
    """
    name, stream = next(members, (None, io.BytesIO()))
    text = stream.read()
    digest = hashlib.sha256(text).hexdigest()
    if expected_sha256 and digest != expected_sha256.lower():
        raise WrongBytes(f"{path}: {MANIFEST} has sha256 {digest}", expected=f"sha256 {expected_sha256}", hint=AGAIN)
    try:
        if name != MANIFEST:
            raise ValueError(f"it begins with {name}")
        raw = parse_manifest(io.BytesIO(text))
        files = {str(item["path"]): ExpectedFile(size=item["size"], sha256=item["sha256"]) for item in raw["files"]}
        repos = tuple(from_record(item) for item in raw["repositories"])
        _refuse_strange(repos, files)
        return Manifest(files, tuple(raw["benchmarks"]), repos, digest)
    except (ValueError, KeyError, TypeError) as error:
        raise InputRefused(
            f"{path} is no bundle: {error}", expected=f"{MANIFEST} first, as vldock fetch --bundle writes it"
        ) from error


def _refuse_strange(repos: tuple[LockedRepo, ...], files: dict[str, Any]) -> None:
    """Raise ValueError for a link to a wrong place.

    Wrong are places outside the link's repository, and missing blobs.
    """
    for repo in repos:
        if not hub_cache_layout.COMMIT.fullmatch(repo.revision or "") or not REPO.fullmatch(repo.repo):
            raise ValueError(f"{repo.repo} at {repo.revision}")
        for item in repo.files or ():
            blob = f"{HUB_FOLDER}/{hub_cache_layout.folder_name(repo.repo)}/blobs/{item.blob}"
            if blob not in files or not SAFE_PATH.fullmatch(item.path):
                raise ValueError(f"{repo.repo}/{item.path}")


@contextmanager
def open_members(path: Path) -> Iterator[Members]:
    """Yield (name, stream) of a bundle's files, the manifest first."""
    if path.is_dir():
        yield _of_folder(path)
    elif path.is_file() and path.name.endswith(ARCHIVE):
        with (
            path.open("rb") as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as plain,
            tarfile.open(fileobj=plain, mode="r|") as tar,
        ):
            yield _of_archive(tar)
    else:
        raise UsageError(f"{path} is neither a folder nor a {ARCHIVE}", expected="what vldock fetch --bundle made")


def _of_folder(path: Path) -> Members:
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file() and file.name[0] != ".")
    for name in sorted(names, key=lambda name: name != MANIFEST):
        with (path / name).open("rb") as stream:
            yield name, stream


def _of_archive(tar: tarfile.TarFile) -> Members:
    for member in tar:
        if stream := tar.extractfile(member) if member.isfile() else None:
            yield member.name, stream


@contextmanager
def refuse_damaged(path: Path) -> Iterator[None]:
    """Raise WrongBytes for a cut or flipped archive, found anywhere."""
    try:
        yield
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise WrongBytes(f"{path} is damaged: {error}", expected="a whole archive", hint=AGAIN) from error
