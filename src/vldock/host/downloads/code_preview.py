"""Remote code of a repository, read before its weights are downloaded.

A few small files tell whether the image can run a commit: they are taken from the cache, or from the host and not kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from vldock.common import hub_cache_layout, remote_code
from vldock.common.errors import InputRefused
from vldock.common.remote_code import CONFIGS, RemoteCode
from vldock.host.downloads import hub_listing
from vldock.host.downloads.http import Web
from vldock.host.downloads.locked_files import HubFile, LockedRepo
from vldock.host.util.console import Say
from vldock.host.util.retry import LOST, RetryableError


def require_runnable(
    web: Web, repos: Iterable[LockedRepo], cache: Path, *, pins: Mapping[str, RemoteCode], log: Say
) -> None:
    """Require code the image can run of every listed repository; log code that is not the pinned.

    `cache` is the hub cache, `pins` the lock's by repository. Raises InputRefused for code that is incomplete or needs
    a compiler, and what `Web.get` raises.
    """
    for repo in repos:
        if repo.only is None and any(item.path.endswith(".py") for item in repo.files or ()):
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
            kept = hub_cache_layout.folder(cache, repo.repo) / "blobs" / item.blob
            if kept.is_file() and hub_cache_layout.content_name(kept, item.blob) == item.blob:
                blob.write_bytes(kept.read_bytes())
            else:
                web.retry(partial(_download, web, repo, item, blob), what=f"{repo.repo}/{item.path}")
            link = snapshot / item.path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    return snapshot


def _download(web: Web, repo: LockedRepo, item: HubFile, path: Path) -> None:
    url = hub_listing.file_url(web.hub.endpoint, repo.repo, repo.revision or "", item.path)
    with web.get(url) as response:
        try:
            path.write_bytes(response.content)
        except LOST as error:
            raise RetryableError(str(error)) from error
    if (seen := hub_cache_layout.content_name(path, item.blob)) != item.blob:
        raise RetryableError(f"the host sent {seen}, not {item.blob}")
