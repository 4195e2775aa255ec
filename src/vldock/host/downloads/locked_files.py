"""locks/datasets.json and locks/weights.json: declared files of benchmarks and repositories.

null means "not known when the lock was written": such a file is verified by what else is declared (a benchmark by
VLMEvalKit's md5, a weight by the Hub's LFS sha256 or git object id), and `vldock fetch ... --record` writes it down.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout, remote_code
from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import write_json
from vldock.common.remote_code import RemoteCode
from vldock.common.tables import editions
from vldock.common.tables.editions import Edition
from vldock.host.downloads.partial_file import ExpectedFile

DATASETS, WEIGHTS = "datasets.json", "weights.json"
SCHEMA = 1


@dataclass(frozen=True)
class LockedData:
    """One benchmark's file: VLMEvalKit's URL and md5; size and sha256 once recorded.

    `url` is None for an edition whose address is not known.
    """

    name: str
    url: str | None
    md5: str
    size: int | None = None
    sha256: str | None = None
    edition: str | None = None
    editions: tuple[Edition, ...] = ()  # all that are declared, the default first

    @property
    def file(self) -> str:
        """Its name in LMUData."""
        return f"{self.name}.tsv"

    @property
    def expected(self) -> ExpectedFile:
        """Its declared size and checksums."""
        return ExpectedFile(size=self.size, md5=self.md5, sha256=self.sha256)


@dataclass(frozen=True)
class HubFile:
    """File of a repository, with its content's digest.

    The digest is a git object id, or the Hub's sha256 of an LFS file; `lfs` tells which of the two names its blob in
    the cache. `sha256` of another file is recorded after a fetch.
    """

    path: str
    size: int | None
    sha256: str | None
    git: str | None
    lfs: bool

    @property
    def blob(self) -> str:
        """The name of its blob; raises InputRefused without a checksum."""
        name = self.sha256 if self.lfs else self.git
        if not name:
            raise InputRefused(f"{self.path} has no checksum", expected="an LFS sha256 or a git object id of the Hub")
        return name

    @property
    def expected(self) -> ExpectedFile:
        """Its declared size and checksums."""
        return ExpectedFile(size=self.size, sha256=self.sha256, git=None if self.lfs else self.git)


@dataclass(frozen=True)
class LockedRepo:
    """One repository: commit (null: main), file patterns, files once recorded, remote code.

    `source` is where the commit is stated; `code` is as weights.json has it. `reference` is the branch, tag or commit
    the revision was found by. A data set is datasets/ORG/NAME.
    """

    repo: str
    revision: str | None = None
    only: tuple[str, ...] | None = None
    files: tuple[HubFile, ...] | None = None
    source: str | None = None
    code: Mapping[str, Any] | None = field(default=None, hash=False)
    reference: str = hub_cache_layout.BRANCH

    @property
    def pinned(self) -> bool:
        """Whether its files are those of a commit that was named, and not of a branch or tag."""
        return self.reference == self.revision

    @property
    def pin(self) -> RemoteCode:
        """Its pinned remote code."""
        return remote_code.pin_of({"revision": self.revision, "code": self.code})


@dataclass(frozen=True)
class WeightsLock:
    """The Hub's address, and the repositories."""

    endpoint: str
    repositories: tuple[LockedRepo, ...]

    def get(self, repo: str) -> LockedRepo | None:
        """Return the declared repository, or None."""
        return next((locked for locked in self.repositories if locked.repo == repo), None)

    def find(self, repo: str) -> LockedRepo:
        """Return the declared repository; raises InputRefused where there is none."""
        if locked := self.get(repo):
            return locked
        raise InputRefused(f"{repo} is not in locks/{WEIGHTS}", expected="one entry for each repository of the models")


def load_datasets(folder: Path, env: Mapping[str, str] | None = None) -> tuple[LockedData, ...]:
    """Read datasets.json in `folder`, each benchmark in the requested edition.

    `env` names the edition or the md5.

    Raises InputRefused where it is not one, UsageError for a malformed VLDOCK_EDITION or VLDOCK_ACCEPT_MD5.
    """
    declared = _declared(folder)
    named = {item.name: item.editions for item in declared}
    allowed, chosen = editions.accepted_md5s(env), editions.chosen_editions(named, env)

    def asked(item: LockedData) -> LockedData:
        one = chosen.get(item.name)
        md5 = allowed.get(item.name) or (one.md5 if one else item.md5)
        if md5 == item.md5:
            return item
        name, url = editions.name_of(item.name, md5, named), one.url if one else item.url
        return replace(item, url=url, md5=md5, size=None, sha256=None, edition=name)

    return tuple(asked(item) for item in declared)


def _declared(folder: Path) -> tuple[LockedData, ...]:
    path = folder / DATASETS
    try:
        return tuple(_data(row) for row in _read(path)["benchmarks"])
    except (KeyError, TypeError) as error:
        raise _malformed(path, error) from error


def _data(row: dict[str, Any]) -> LockedData:
    plain = {name: row[name] for name in ("name", "url", "md5", "size", "sha256")}
    return LockedData(**plain, edition=row.get("edition"), editions=editions.editions_of(row))


def load_weights(folder: Path) -> WeightsLock:
    """Read weights.json in `folder`; raises InputRefused where it is not one."""
    raw = _read(folder / WEIGHTS)
    try:
        return WeightsLock(raw["endpoint"], tuple(_repo(item) for item in raw["repositories"]))
    except (KeyError, TypeError) as error:
        raise _malformed(folder / WEIGHTS, error) from error


def record_data(folder: Path, seen: Iterable[LockedData]) -> Path:
    """Write size and sha256 of fetched benchmarks into datasets.json.

    Recorded entries remain.

    A file that only VLDOCK_EDITION or VLDOCK_ACCEPT_MD5 made acceptable is not recorded.
    """
    found = {(item.name, item.md5): item for item in seen}
    raw = _read(folder / DATASETS)
    rows = []
    for row in raw["benchmarks"]:
        item = found.get((row["name"], row["md5"]))
        rows.append(row | {"size": item.size, "sha256": item.sha256} if item else row)
    return write_json(folder / DATASETS, raw | {"benchmarks": rows})


def record_weights(folder: Path, seen: Iterable[LockedRepo]) -> Path:
    """Write commit and files of fetched repositories into weights.json.

    A recorded repository remains.
    """
    found = {(item.repo, item.only): item for item in seen}
    raw = _read(folder / WEIGHTS)
    rows = [
        _recorded(row, found[row.repo, row.only]) if (row.repo, row.only) in found and not row.files else row
        for row in load_weights(folder).repositories
    ]
    plain = [{name: value for name, value in asdict(row).items() if name != "reference"} for row in rows]
    return write_json(folder / WEIGHTS, raw | {"repositories": plain})


def _recorded(row: LockedRepo, seen: LockedRepo) -> LockedRepo:
    source = row.source if row.revision else "the Hub's main, fetched with --record"
    return replace(row, revision=seen.revision, files=seen.files, source=source)


def _repo(raw: dict[str, Any]) -> LockedRepo:
    files = None if raw["files"] is None else tuple(HubFile(**item) for item in raw["files"])
    only = None if raw["only"] is None else tuple(raw["only"])
    return LockedRepo(raw["repo"], raw["revision"], only, files, raw.get("source"), raw.get("code"))


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _malformed(path, error) from error
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise _malformed(path, "another schema")
    return raw


def _malformed(path: Path, error: object) -> InputRefused:
    return InputRefused(f"{path}: {error}", expected=f"a lock of schema {SCHEMA}", hint=f"git checkout -- {path}")
