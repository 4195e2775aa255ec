"""Files of a model and of the other repositories it reads, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout
from vldock.common import weight_files as whole
from vldock.common.errors import InputRefused
from vldock.image.weights import file_hashes
from vldock.image.weights.hub_snapshots import snapshot, used_files

TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its switches


def is_offline(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether requests to the Hub for weights are forbidden.

    The libraries read the same variables.
    """
    return any(environ.get(name, "").upper() in TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def folder_of(repo: str) -> Path | None:
    """Return the folder read by `from_pretrained(repo)`.

    A local one, or a snapshot in the cache.
    None where none is.
    """
    if Path(repo).is_dir():
        return Path(repo)
    folder = snapshot(repo).folder
    return folder if folder and folder.is_dir() else None


def facts(repo: str | None, *, every: bool = False) -> dict[str, Any] | None:
    """Return repo, revision and hashes of a model's files.

    {file: sha256} of those that are used, and one sha256 over them; None where the weights are absent. With `every`, of
    a repository of which only the tokenizer is used elsewhere, too.
    """
    folder = folder_of(repo) if repo else None
    if repo is None or folder is None:
        return None
    used = (None if every else used_files(repo)) or ("*",)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if any(fnmatch(path.relative_to(folder).as_posix(), one) for one in used)]
    digests = file_hashes.sha256_of(paths)
    files = {path.relative_to(folder).as_posix(): digests[path] for path in paths}
    local = Path(repo).is_dir()
    return {
        "repo": Path(repo).name if local else repo,
        "revision": None if local else snapshot(repo).revision,
        "files": files,
        "sha256": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest(),
    }


def require_whole(repo: str | None = None, *others: str) -> None:
    """Raise InputRefused where weights are incomplete or hidden.

    The error names the files. The vision tower's weights count too; `others` may have none, as a tokenizer's.
    With a network an absent file is no fault: the Hub's client fetches it.
    """
    models = (repo, tower_of(repo))
    for name in dict.fromkeys((*models, *others)):
        if name and not Path(name).is_dir() and is_offline():
            require_reference(name)
        folder = folder_of(name) if name else None
        if name is None or folder is None:
            continue
        faults = whole.find_faults(folder, need_weights=name in models)
        found = [fault for fault in faults if is_offline() or not fault.missing]
        if found:
            raise InputRefused(
                f"the weights of {name} are not whole: {'; '.join(map(str, found))}",
                expected=whole.WHOLE,
                hint=hub_cache_layout.fetch_hint(name),
            )


def require_reference(repo: str, environ: Mapping[str, str] = os.environ) -> None:
    """Raise InputRefused for a cached repository without a usable refs/main.

    It cannot load where its refs/main names no snapshot.
    """
    if hidden := snapshot(repo, environ).hidden:
        raise InputRefused(
            f"{repo} cannot be loaded offline: its refs/main {hidden.flaw}",
            expected="the name of a folder in snapshots/, and nothing else",
            hint=hidden.cure,
        )


def tower_of(repo: str | None) -> str | None:
    """Return the vision tower a LLaVA's config names, or None."""
    folder = folder_of(repo) if repo else None
    if folder is None or not (folder / "config.json").is_file():
        return None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tower = config.get("mm_vision_tower") or config.get("vision_tower")
    return tower if isinstance(tower, str) else None


def digest(repo: str | None, *others: str, every: bool = False) -> str | None:
    """Return a digest of the model's files, its tower's and those of `others`.

    16 hexadecimal digits; None before the model is downloaded.
    """
    own = facts(repo, every=every)
    if own is None:
        return None
    tower = tower_of(repo)
    parts = [facts(tower), *(facts(other) for other in dict.fromkeys(others) if other != tower)]
    text = own["sha256"] + "".join(part["sha256"] if part else "" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
