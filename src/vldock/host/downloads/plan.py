"""Plan of a fetch: chosen names, and files with expected content.

Each file has its address and path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vldock.common import hub_cache_layout, matrix
from vldock.common.errors import InputRefused, VldockError
from vldock.host.downloads import hub_listing
from vldock.host.downloads.http import Hub, Web
from vldock.host.downloads.locked_files import LockedData, LockedRepo, WeightsLock
from vldock.host.downloads.request import FileRequest
from vldock.host.runs import plan as run_plan
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


def choose_data(names: Sequence[str], locked: Iterable[LockedData]) -> tuple[LockedData, ...]:
    """Return the chosen benchmarks; without a name all 20 of the matrix.

    Raises UsageError for an unknown one.
    """
    chosen = run_plan.choose_benchmarks(",".join(names) or "all")
    return tuple(item for name in chosen for item in locked if item.name == name)


def choose_repos(names: Sequence[str], lock: WeightsLock) -> tuple[LockedRepo, ...]:
    """Return the repositories of the models, towers and tokenizers included.

    Without a name: the matrix's two models; 'all': the seven. A repository's own name is taken too.
    Raises UsageError for an unknown name.
    """
    requested = [name for text in names for name in text.split(",") if name]
    declared = {item.repo for item in lock.repositories}
    models = [name for name in requested if name not in declared]
    chosen = run_plan.choose_models(",".join(models), standin=False) if models or not requested else ()
    repos = [name for name in requested if name in declared]
    repos += [repo for name in chosen for repo in _repos_of(name)]
    return tuple(lock.find(repo) for repo in dict.fromkeys(repos))


def _repos_of(name: str) -> tuple[str, ...]:
    model = matrix.find_model(name)
    assert model is not None
    return (model.repo, *model.needs)


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


def plan_weights(
    repos: Iterable[LockedRepo], cache: Path, *, web: Web, jobs: int, seed: Path | None = None
) -> DownloadJob:
    """Return the files of repositories; the Hub lists unlocked ones.

    `cache` is the hub cache itself. Raises what `hub_listing.listing` raises.
    """
    ends = run_all(tuple(repos), lambda repo: hub_listing.list_repo(web, repo), jobs=jobs, stop=web.stop)
    for end in ends:
        if end.error:
            raise end.error
    listed = tuple(end.result for end in ends if end.result)
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
