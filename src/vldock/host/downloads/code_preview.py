"""Remote code of a repository, read before its weights are downloaded.

A few small files tell whether the image can run a commit: they are taken from the cache, or from the host and not kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from vldock.common import hub_cache_layout, remote_code
from vldock.common.errors import InputRefused
from vldock.common.remote_code import CONFIGS, RemoteCode
from vldock.host.downloads import small_files
from vldock.host.downloads.http import Web
from vldock.host.downloads.locked_files import LockedRepo
from vldock.host.util.console import Say


def require_runnable(
    web: Web, repos: Iterable[LockedRepo], cache: Path, *, pins: Mapping[str, RemoteCode], log: Say
) -> None:
    """Require code the image can run of every listed repository; log code that is not the pinned.

    `cache` is the hub cache, `pins` the lock's by repository. Raises InputRefused for code that is incomplete or needs
    a compiler, and what `Web.get` raises.
    """
    for repo in repos:
        code = repo.only is None and not hub_cache_layout.is_dataset(repo.repo)
        if code and any(item.path.endswith(".py") for item in repo.files or ()):
            with tempfile.TemporaryDirectory(prefix="vldock-code-") as folder:
                _require(repo, _snapshot(web, repo, cache, Path(folder)), pins.get(repo.repo, RemoteCode()), log)


def _require(repo: LockedRepo, snapshot: Path, pin: RemoteCode, log: Say) -> None:
    code = remote_code.find_code(snapshot)
    wrong = remote_code.find_unrunnable(snapshot)
    wrong += [f"{name} is not there, and {origin} names it" for name, origin in code.missing.items()]
    if wrong:
        raise InputRefused(
            f"{repo.repo} at {repo.revision} cannot run in the image: {'; '.join(wrong)}",
            expected="remote code that is complete and needs no compiler; nothing was downloaded",
            hint=f"another revision of {repo.repo} in locks/weights.json",
        )
    if not code.files:
        return
    differences = remote_code.describe_difference(pin, snapshot)
    if pin == RemoteCode():
        differences = [f"locks/weights.json pins no code of it: {', '.join(code.files)} run as they are"]
    for text in differences:
        log(f"warning: remote code of {repo.repo} at {repo.revision}: {text}")


def _snapshot(web: Web, repo: LockedRepo, cache: Path, folder: Path) -> Path:
    """Write the code and configurations of a repository below `folder`, laid out as its cache; return the snapshot."""
    place = hub_cache_layout.folder(folder, repo.repo)
    snapshot = hub_cache_layout.snapshot(place, repo.revision or "")
    for item in repo.files or ():
        if item.path.endswith(".py") or item.path in CONFIGS:
            blob = place / "blobs" / item.blob
            blob.parent.mkdir(parents=True, exist_ok=True)
            small_files.write_file(web, repo, item, blob, caches=[cache])
            link = snapshot / item.path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    return snapshot
