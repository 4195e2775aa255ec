"""Plan of a fetch: files with address, path and expected content."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused, VldockError
from vldock.host.downloads import hub_listing, small_files
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.locked_files import LockedData, LockedRepo
from vldock.host.downloads.request import FileRequest
from vldock.host.util.retry import RetryableError
from vldock.host.util.worker_threads import run_all


@dataclass(frozen=True)
class DownloadJob:
    """Benchmarks and repositories (with their commit), and every file they need, each once."""

    data: tuple[LockedData, ...] = ()
    repos: tuple[LockedRepo, ...] = ()
    files: tuple[FileRequest, ...] = ()

    def __add__(self, other: DownloadJob) -> DownloadJob:
        return DownloadJob(self.data + other.data, self.repos + other.repos, self.files + other.files)

    def repos_json(self) -> list[dict[str, Any]]:
        """Return each repository with its commit, and whether a lock or the user pinned it."""
        return [{"repo": item.repo, "commit": item.revision, "pinned": item.pinned} for item in self.repos]

    def missing_bytes(self) -> int:
        """Return the number of bytes still missing.

        Only files of known size count.
        """
        return sum(max(0, (item.total or 0) - bytes_here(item)) for item in self.files)


def bytes_here(request: FileRequest) -> int:
    """Return the bytes of a file on disk.

    The file is in its place or in its part.
    """
    for path in (request.path, request.part):
        if path.is_file():
            return path.stat().st_size
    return 0


def plan_data(
    chosen: Iterable[LockedData], root: Path, *, hub: Hub, official: str, mirror: str | None, seed: Path | None = None
) -> DownloadJob:
    """Return the files of benchmarks.

    A mirror holds NAME.tsv each; `official` is the Hub's address in the lock.
    """
    data = tuple(chosen)

    def url(item: LockedData) -> str:
        if mirror:
            return f"{mirror.rstrip('/')}/{item.file}"
        if item.url is None:
            return _no_address(item, root)
        return hub.endpoint + item.url.removeprefix(official) if item.url.startswith(f"{official}/") else item.url

    return DownloadJob(
        data=data,
        files=tuple(
            FileRequest(
                name=item.file,
                owner=item.name,
                url=url(item),
                path=root / item.file,
                expected=item.expected,
                seed=seed and seed / item.file,
            )
            for item in data
        ),
    )


def _no_address(item: LockedData, root: Path) -> str:
    """Return an empty address for an existing file.

    Raises InputRefused where it would have to be downloaded.
    """
    path = root / item.file
    if not path.is_file():
        raise InputRefused(
            f"the {item.edition} edition of {item.name} has no address in locks/datasets.json",
            expected=f"the file with md5 {item.md5} at {path}",
            hint=f"put it there, or --mirror URL that holds {item.file}",
        )
    return ""


def plan_repos(
    repos: Iterable[LockedRepo],
    cache: Path,
    *,
    web: Web,
    jobs: int,
    seed: Path | None = None,
    find: Callable[[str], LockedRepo | None] = LockedRepo,
) -> DownloadJob:
    """Return the files of repositories and of the vision towers they name; the Hub lists unlocked ones.

    `cache` is the hub cache itself; `find` gives a tower's declaration. Raises what `hub_listing.list_repo` raises.
    """
    listed = _listed(repos, web=web, jobs=jobs)
    known = {repo.repo for repo in listed}
    towers = [
        tower
        for tower in small_files.find_towers(web, listed, [cache, *([seed] if seed else [])])
        if tower not in known
    ]
    listed += _listed((find(tower) or LockedRepo(tower) for tower in towers), web=web, jobs=jobs)
    files: dict[Path, FileRequest] = {}
    for repo in listed:
        blobs = hub_cache_layout.folder(cache, repo.repo) / "blobs"
        seeds = seed and hub_cache_layout.folder(seed, repo.repo) / "blobs"
        for item in repo.files or ():
            path = blobs / item.blob
            files[path] = FileRequest(
                name=f"{repo.repo}/{item.path}",
                owner=repo.repo,
                url=hub_listing.file_url(web.hub.endpoint, repo.repo, repo.revision or "", item.path),
                path=path,
                expected=item.expected,
                replace=True,
                seed=seeds and seeds / item.blob,
            )
    return DownloadJob(repos=listed, files=tuple(files.values()))


def _listed(repos: Iterable[LockedRepo], *, web: Web, jobs: int) -> tuple[LockedRepo, ...]:
    ends = run_all(tuple(repos), lambda repo: hub_listing.list_repo(web, repo), jobs=jobs, stop=web.stop)
    for end in ends:
        if end.error:
            raise end.error
    return tuple(end.result for end in ends if end.result)


def ask_sizes(job: DownloadJob, *, web: Web, jobs: int) -> DownloadJob:
    """Return the job with sizes the lock lacks, as the hosts report them.

    A host without one is no error.
    """

    def ask(item: FileRequest) -> int | None:
        if item.expected.size is not None or item.path.is_file():
            return item.expected.size
        try:
            with web.get(item.url, method="HEAD") as response:
                length = response.headers.get("Content-Length", "")
        except (RetryableError, VldockError):
            return None
        return int(length) if length.isdigit() and int(length) else None

    ends = run_all(job.files, ask, jobs=jobs, stop=web.stop)
    return replace(job, files=tuple(replace(end.item, size=end.result) for end in ends))
