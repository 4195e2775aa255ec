"""Small files of a repository, read before its large ones: from the cache, else from the host and not kept."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from vldock.common import hub_cache_layout
from vldock.host.downloads import hub_listing
from vldock.host.downloads.http import Web
from vldock.host.downloads.locked_files import HubFile, LockedRepo
from vldock.host.errors import HostFailed
from vldock.host.util.retry import LOST, RetryableError

CONFIG = "config.json"


def write_file(web: Web, repo: LockedRepo, item: HubFile, path: Path, *, caches: Iterable[Path]) -> None:
    """Write a file of a repository to `path`, checked; `caches` are hub caches that may hold it."""
    for cache in caches:
        kept = hub_cache_layout.folder(cache, repo.repo) / "blobs" / item.blob
        if kept.is_file() and hub_cache_layout.content_name(kept, item.blob) == item.blob:
            path.write_bytes(kept.read_bytes())
            return
    web.retry(partial(_download, web, repo, item, path), what=f"{repo.repo}/{item.path}")


def find_towers(web: Web, repos: Iterable[LockedRepo], caches: Sequence[Path]) -> tuple[str, ...]:
    """Return the repositories of vision towers that LLaVA checkpoints name in their config.json.

    A config.json the host does not give right is logged; the fetch of the file itself fails then.
    """
    towers = []
    with tempfile.TemporaryDirectory(prefix="vldock-config-") as folder:
        for repo in repos:
            config = next((item for item in repo.files or () if item.path == CONFIG), None)
            if config and repo.only is None and not hub_cache_layout.is_dataset(repo.repo):
                path = Path(folder) / CONFIG
                try:
                    write_file(web, repo, config, path, caches=caches)
                except HostFailed as error:
                    web.log(f"warning: the vision tower of {repo.repo} is not known: {error.message}")
                else:
                    towers.append(_tower_of(path))
    return tuple(dict.fromkeys(tower for tower in towers if tower))


def _tower_of(config: Path) -> str | None:
    try:
        raw = json.loads(config.read_bytes())
    except ValueError:
        return None  # told when the whole is checked
    named = str(raw.get("mm_vision_tower") or raw.get("vision_tower") or "") if isinstance(raw, dict) else ""
    return named if hub_cache_layout.REPOSITORY.fullmatch(named) else None


def _download(web: Web, repo: LockedRepo, item: HubFile, path: Path) -> None:
    url = hub_listing.file_url(web.hub.endpoint, repo.repo, repo.revision or "", item.path)
    with web.get(url) as response:
        try:
            path.write_bytes(response.content)
        except LOST as error:
            raise RetryableError(str(error)) from error
    if (seen := hub_cache_layout.content_name(path, item.blob)) != item.blob:
        raise RetryableError(f"the host sent {seen}, not {item.blob}")
