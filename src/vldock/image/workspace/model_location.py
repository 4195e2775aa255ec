"""Location of a model's weights: a folder, the workspace, or the cache.

The workspace is $WORKSPACE_ROOT, /workspace where it is not set; the cache is the one `from_pretrained` reads. A name
is a path, a folder's name, a repository (ORG/NAME), one of VLMEvalKit's names or another spelling of it
(common/names/spellings.py).
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vldock.common import hub_cache_layout, standin_choice
from vldock.common import weight_files as whole
from vldock.common.cache_env import WORKSPACE
from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.common.matrix import MODELS, find_model
from vldock.common.names import spellings
from vldock.common.workspace import FOLDERS, ROOT_VARIABLE
from vldock.image.weights import model_files
from vldock.image.weights.hub_snapshots import cache_root, snapshot

SEARCHED = ("weights", "models")  # in this order, below the root
ADAPTER, ITS_OWN = "adapter_config.json", "non_lora_trainables.bin"


@dataclass(frozen=True)
class ModelLocation:
    """Location of a model's weights.

    `path` is the argument of `from_pretrained`: a folder, or a repository to download.

    `declared`: a model of vldock.common.matrix, which VLMEvalKit knows, and not a custom one.
    """

    name: str
    path: str
    where: str
    revision: str | None = None
    repo: str | None = None
    declared: bool = False

    @property
    def local(self) -> bool:
        """True if the files are on this machine."""
        return self.repo is None or self.revision is not None

    @property
    def folder(self) -> Path:
        """Folder of the files, where they are local."""
        return Path(self.path)

    def __str__(self) -> str:
        return f"{self.name}: {self.where}, {self.path}"


def workspace_root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the workspace's root."""
    return Path(environ.get(ROOT_VARIABLE) or WORKSPACE)


def resolve(name: str, environ: Mapping[str, str] = os.environ) -> ModelLocation:
    """Return the location of the weights called `name`.

    Raises UsageError for a name that means nothing here, EnvironmentUnfit for a repository that is not in the cache and
    may not be downloaded.
    """
    real = declared_name(name)
    model = find_model(real)
    repo = model.repo if model else name
    found = _as_path(name) or _in_workspace(name, repo, workspace_root(environ))
    if found is None and not _is_repo(repo):
        raise _unknown(name, workspace_root(environ))
    if found is None:
        _print_replaced(name, real)
        found = find_cached(repo, environ, name=real)
    return replace(found, declared=model is not None or found.repo in {known.repo for known in MODELS})


def declared_name(name: str) -> str:
    """Return VLMEvalKit's name of a declared model; a repository, a path or any other name as it is."""
    return name if "/" in name else spellings.resolve_model(name)


@functools.cache
def _print_replaced(name: str, real: str) -> None:
    """Print once per process which model was taken for another spelling."""
    spellings.print_replaced([name], [real])


def find_cached(
    repo: str, environ: Mapping[str, str] = os.environ, *, name: str | None = None, revision: str | None = None
) -> ModelLocation:
    """Return a repository's location in the cache, or, online, on the Hub.

    In the cache it is the snapshot at `revision`, else at refs/main.

    Raises EnvironmentUnfit where it is not there and may not be downloaded, UsageError where it has no stand-in and one
    is asked for, InputRefused where its refs/main hides it.
    """
    place = hub_cache_layout.folder(cache_root(environ), repo)
    for commit in (revision, snapshot(repo, environ).revision):
        if commit and hub_cache_layout.snapshot(place, commit).is_dir():
            path = str(hub_cache_layout.snapshot(place, commit))
            return ModelLocation(name or repo, path, f"the cache, revision {commit[:12]}", commit, repo)
    if standin_choice.read_choice(environ):
        standin_choice.require([repo])
    if model_files.is_offline(environ):
        model_files.require_reference(repo, environ)
        raise EnvironmentUnfit(
            f"{repo} is not in the cache {cache_root(environ)}, and this process is offline",
            expected=f"{place}/snapshots"
            + (f", or a folder {Path(repo).name} in weights/ or models/ of {workspace_root(environ)}" if name else ""),
            hint=f"on the host: vldock fetch weights {repo} --cache FOLDER; then mount that folder",
        )
    return ModelLocation(name or repo, repo, f"the Hub, into the cache {cache_root(environ)}", None, repo)


def require_whole(place: ModelLocation) -> None:
    """Raise InputRefused, naming files, for incomplete local weights.

    Their vision tower's are checked too.
    """
    if not place.local:
        return
    if found := whole.find_faults(place.folder):
        again = f"vldock fetch weights {place.repo} --cache FOLDER" if place.repo else "copy the folder again"
        raise InputRefused(
            f"the weights of {place.name} in {place.path} are not whole: {'; '.join(map(str, found))}",
            expected=whole.WHOLE,
            hint=f"on the host: {again}",
        )
    if (place.folder / ADAPTER).is_file() and not (place.folder / ITS_OWN).is_file():
        raise InputRefused(
            f"the adapter {place.path} has no {ITS_OWN}",
            expected="the projector beside the adapter, as LLaVA's LoRA training saves it",
            hint="export the run once more, or load its merged weights",
        )
    if tower := model_files.tower_of(place.path):
        if not Path(tower).is_dir():
            find_cached(tower)
        model_files.require_whole(tower)


def fingerprint(place: ModelLocation) -> str:
    """Return an identity of weights without reading them.

    It is the commit, else a hash of names, sizes and times.
    """
    if place.revision or not place.local:
        return place.revision or place.path
    files = sorted(path for path in place.folder.rglob("*") if path.is_file())
    seen = [(str(path.relative_to(place.folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:40]


def print_location(place: ModelLocation) -> None:
    """Print the chosen location on standard error."""
    print(f"workspace: {place}", file=sys.stderr, flush=True)


def _as_path(name: str) -> ModelLocation | None:
    if not (name.startswith((".", "/", "~")) or Path(name, "config.json").is_file()):
        return None
    path = Path(name).expanduser().absolute()
    if not path.is_dir():
        raise UsageError(f"{name}: no such folder", expected="a folder that holds config.json and the weights")
    if path.parent.name == "snapshots" and path.parents[1].name.startswith("models--"):
        repo = hub_cache_layout.repo_of(path.parents[1])
        return ModelLocation(name, str(path), f"a snapshot of {repo}", path.name, repo)
    return ModelLocation(name, str(path), "the folder given")


def _in_workspace(name: str, repo: str, where: Path) -> ModelLocation | None:
    """Return the location below the workspace's root.

    None where it is not there.
    checkpoints/run/best is found by its path, anything else by its name or its repository's.
    """
    if _is_below(name) and (where / name).is_dir():
        return ModelLocation(name, str(where / name), f"the workspace {where}")
    names = dict.fromkeys((name, repo, Path(repo).name))
    for folder in SEARCHED:
        for called in names:
            if (where / folder / called).is_dir():
                return ModelLocation(name, str(where / folder / called), f"{folder}/ of the workspace {where}")
    return None


def _is_below(name: str) -> bool:
    return name.partition("/")[0] in FOLDERS


def _is_repo(name: str) -> bool:
    return name.count("/") == 1 and all(name.split("/")) and not _is_below(name)


def _unknown(name: str, where: Path) -> UsageError:
    folders = [where / folder for folder in SEARCHED]
    there = sorted(path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir())
    known = [*there, *(model.name for model in MODELS)]
    return UsageError(
        f"no weights are called {name!r}",
        expected=f"ORG/NAME, a folder, or one of {', '.join(dict.fromkeys(known))}",
        hint=f"put the folder into {where / SEARCHED[0]} (or mount it there)",
    )
