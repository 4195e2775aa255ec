"""Layout of huggingface_hub's cache: models--ORG--NAME/{blobs,snapshots,refs}, read as files.

A data set's repository is called datasets/ORG/NAME here, as in the Hub's addresses; its folder is datasets--ORG--NAME.

A blob is named by its content: the sha256 of an LFS file (64 digits), the git object id of any other (40 digits).
`refs/main` holds the commit `from_pretrained(repo)` takes offline; huggingface_hub 0.25 uses its text as it is, so that
a newline at its end, which `echo` writes, hides every file (file_download.py, _hf_hub_download_to_cache_dir, and
try_to_load_from_cache). `vldock.json` beside them is our own: which files of
that commit were fetched, so that their absence shows without a network.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from vldock.common import hashing

HUB_FOLDER = "huggingface"  # of a cache folder: the image's HUGGINGFACE_HUB_CACHE is /workspace/.cache/huggingface
RECORD = "vldock.json"
BRANCH = "main"
MAIN = f"refs/{BRANCH}"
KINDS = ("models", "datasets")
DATASETS = "datasets/"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
BLOB = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
UNFINISHED = (".part", ".incomplete")
REPAIR = "vldock cache verify --repair"


def is_dataset(repo: str) -> bool:
    """Return whether a repository is a data set's."""
    return repo.startswith(DATASETS)


def folder_name(repo: str) -> str:
    """Return the name of a repository's folder."""
    return (repo if is_dataset(repo) else f"models/{repo}").replace("/", "--")


def folder(cache: Path, repo: str) -> Path:
    """Return a repository's folder below `cache`, or below its hub/, as in a ~/.cache, where only that has it.

    `cache` is the hub cache itself (HUGGINGFACE_HUB_CACHE).
    """
    name = folder_name(repo)
    below = cache / "hub" / name
    return below if os.path.isdir(below) and not os.path.lexists(cache / name) else cache / name  # noqa: PTH112


def fetch_command(repo: str) -> str:
    """Return the host's command that fetches a repository."""
    kind = "datasets" if is_dataset(repo) else "weights"
    return f"vldock fetch {kind} {repo.removeprefix(DATASETS)} --cache FOLDER"


def fetch_hint(name: str) -> str:
    """Return what to do for whole files of a repository, or of a folder of the user's own."""
    if REPOSITORY.fullmatch(name) and not Path(name).exists():
        return f"on the host: {fetch_command(name)}"
    return f"copy the folder {name} again, whole"


def size_of(place: Path) -> int:
    """Return the bytes of a repository's blobs and of files in its snapshots; 0 where it is not there.

    Caches copied without links hold files in their snapshots and no blobs.
    """
    paths = [*(place / "blobs").glob("*"), *(place / "snapshots").rglob("*")]
    return sum(path.stat().st_size for path in {path.resolve() for path in paths} if path.is_file())


def is_hub_cache(path: Path) -> bool:
    """Return whether a folder holds repositories itself, and is not a folder of caches above such a one."""
    return any(any(path.glob(f"{kind}--*")) for kind in KINDS) and not (path / HUB_FOLDER).is_dir()


def repo_of(path: Path) -> str:
    """Return the repository of this folder."""
    kind, _, name = path.name.partition("--")
    name = name.replace("--", "/", 1)
    return f"{DATASETS}{name}" if kind == KINDS[1] else name


class Reference(NamedTuple):
    """One file below refs/: the snapshot it loads, or its flaw and remedy.

    `said` is the commit whoever wrote it meant; `commit` is None where nothing loads by this name; `mended` is what the
    file should hold, where that is known.
    """

    path: Path
    said: str
    commit: str | None
    flaw: str | None = None
    mended: str | None = None

    @property
    def cure(self) -> str:
        """The command to type on the host."""
        repository = next(folder for folder in self.path.parents if folder.name == "refs").parent
        if self.mended:
            return f"on the host: {REPAIR} --cache FOLDER"
        return f"on the host: {fetch_command(repo_of(repository))}"

    def __str__(self) -> str:
        return f"{self.path} {self.flaw}" if self.flaw else f"{self.path}: {self.commit}"


def read_reference(path: Path, name: str = "main") -> Reference | None:
    """Read refs/NAME of a repository as huggingface_hub does; None without one."""
    file = path / "refs" / name
    if not file.is_file():
        return None
    raw = file.read_bytes()
    try:
        text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        text = ""
    if _has_snapshot(path, text):
        return Reference(file, text, text)
    said = _said(raw)
    found = [name for name in (said, said.lower()) if _has_snapshot(path, name)] or ([] if said else _only(path))
    if found:
        held = raw if len(raw) < 24 else raw[:8] + b"..." + raw[-8:]
        why = f"holds {held!r}, which huggingface_hub takes as it is; the snapshot is called {found[0][:12]}..."
        return Reference(file, found[0], None, why, found[0])
    return Reference(file, said, None, f"names revision {said[:60]}, which is not here" if said else "is empty")


def read_references(path: Path) -> list[Reference]:
    """Read every file below refs/ of a repository's folder."""
    root = path / "refs"
    names = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if not file.name.endswith(UNFINISHED))
    return [found for name in names if (found := read_reference(path, name))]


def commit_of(path: Path) -> str | None:
    """Return the commit a repository's folder loads at refs/main, offline, or None."""
    found = read_reference(path)
    return found.commit if found else None


def _has_snapshot(path: Path, commit: str) -> bool:
    single = commit not in ("", ".", "..") and "/" not in commit and "\0" not in commit
    return single and snapshot(path, commit).is_dir()


def _said(raw: bytes) -> str:
    """Return the commit meant by a reference's writer.

    A byte-order mark, blanks, line ends and NULs are removed.
    """
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return "".join(raw.decode(encoding, errors="ignore").replace("\0", " ").split())


def _only(path: Path) -> list[str]:
    """Return the one snapshot there is, where there is one."""
    found = [folder.name for folder in (path / "snapshots").glob("*") if COMMIT.fullmatch(folder.name)]
    return found if len(found) == 1 else []


def snapshot(path: Path, commit: str) -> Path:
    """Return the folder of a commit's files."""
    return path / "snapshots" / commit


def content_name(path: Path, name: str) -> str:
    """Return a blob's name by its content: git object id or sha256.

    The length of `name` decides which.
    """
    return hashing.git_blob_file(path) if len(name) == 40 else hashing.sha256_file(path)


def list_unfinished(path: Path) -> list[str]:
    """Return the names of unfinished downloads in a repository's folder."""
    return sorted(file.name for file in (path / "blobs").glob("*") if file.name.endswith(UNFINISHED))
