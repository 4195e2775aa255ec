"""Execute a fetch: one process a folder, room first, files in parallel.

Repositories become visible when they are complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from vldock.common.errors import EnvironmentUnfit, VldockError
from vldock.common.filesystem.permissions import nearest_existing
from vldock.host.downloads import file as download_file
from vldock.host.downloads.http import Web
from vldock.host.downloads.hub_snapshot import publish
from vldock.host.downloads.locked_files import HubFile, LockedData, LockedRepo
from vldock.host.downloads.plan import DownloadJob
from vldock.host.downloads.request import FetchedFile, FileRequest, ProgressListener
from vldock.host.errors import NoRoom, disk_error
from vldock.host.util import process_lock
from vldock.host.util.console import size_text
from vldock.host.util.worker_threads import WorkResult, run_all

LOCK_FILE = ".vldock-fetch.lock"
Free = Callable[[Path], int]


class FetchDisplay(ProgressListener, Protocol):
    """Listener of progress and of each file's end."""

    def on_end(self, done: WorkResult[FileRequest, FetchedFile]) -> None:
        """Called when a file is in its place, or given up."""


@dataclass(frozen=True)
class FetchReport:
    """Result of a fetch: files in place, and failures with their errors."""

    job: DownloadJob
    fetched: tuple[FetchedFile, ...]
    failures: tuple[tuple[str, VldockError], ...]

    @property
    def exit_code(self) -> int:
        """0, the failures' common code, or 1."""
        return common_exit_code(error for _, error in self.failures)

    def is_whole(self, owner: str) -> bool:
        """Return whether no file of a benchmark or repository failed."""
        names = {owner, *(item.name for item in self.job.files if item.owner == owner)}
        return not any(name in names for name, _ in self.failures)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "complete": not self.failures,
            "files": [_file(item) for item in self.fetched],
            "repositories": self.job.repos_json(),
            "failures": [
                {"name": name, "error": e.message, "expected": e.expected, "hint": e.hint, "exit_code": e.exit_code}
                for name, e in self.failures
            ],
        }


def execute(
    web: Web, job: DownloadJob, *, jobs: int, show: FetchDisplay, quick: bool = False, cache: Path | None = None
) -> FetchReport:
    """Fetch every file of a job; publish the whole repositories.

    They are published in the hub cache `cache`; None: not at all.

    Nothing is raised for a file that cannot be had: the others go on, and the report tells.
    """
    ends = run_all(
        job.files,
        lambda item: download_file.fetch_file(web, item, listener=show, quick=quick),
        jobs=jobs,
        stop=web.stop,
        on_result=show.on_end,
    )
    fetched = tuple(end.result for end in ends if end.result)
    report = FetchReport(job, fetched, tuple((end.item.name, end.error) for end in ends if end.error))
    for repo in job.repos if cache else ():
        assert cache is not None
        if report.is_whole(repo.repo):
            try:
                publish(cache, repo)
            except VldockError as error:
                report = replace(report, failures=(*report.failures, (repo.repo, error)))
    return report


def free_bytes(path: Path) -> int:
    """Return the free bytes of a path's file system.

    The path need not exist: the file system is the one that would hold it.
    """
    return shutil.disk_usage(nearest_existing(path)).free


def require_room(job: DownloadJob, *, free: Free = free_bytes) -> None:
    """Raise NoRoom when the missing bytes do not fit.

    Each file system is checked by itself.
    """
    by_disk: dict[int, list[FileRequest]] = {}
    for item in job.files:
        by_disk.setdefault(nearest_existing(item.path).stat().st_dev, []).append(item)
    for items in by_disk.values():
        need = DownloadJob(files=tuple(items)).missing_bytes()
        require_bytes(need, items[0].path.parent, free=free)


def require_bytes(need: int, folder: Path, *, free: Free = free_bytes) -> None:
    """Raise NoRoom when `need` bytes do not fit in `folder`.

    The folder need not exist yet.
    """
    have = free(folder)
    if need > have:
        raise NoRoom(
            f"{folder} has {size_text(have)} free, {size_text(need)} are missing",
            expected=f"{size_text(need - have)} more",
            hint="free some, name fewer models or benchmarks, or another folder (--cache, --data)",
        )


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder for this process; the kernel releases it when it dies.

    Raises EnvironmentUnfit when another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise disk_error(error, folder / LOCK_FILE) from error

    def on_busy(holder: str) -> EnvironmentUnfit:
        return EnvironmentUnfit(
            f"{folder} is being filled by process {holder}",
            expected="one vldock fetch or load a folder",
            hint="wait for it; the same command then keeps what it fetched",
        )

    with stream:
        process_lock.take(stream, on_busy=on_busy)
        yield


def data_for_lock(report: FetchReport) -> list[LockedData]:
    """Return the benchmarks' files with their size and sha256, for the lock."""
    sums = {item.request.owner: item.checksums for item in report.fetched if item.checksums}
    return [
        replace(item, size=found.size, sha256=found.sha256)
        for item in report.job.data
        if (found := sums.get(item.name))
    ]


def repos_for_lock(report: FetchReport) -> list[LockedRepo]:
    """Return the complete repositories, for the lock.

    Each of their files has its sha256.
    """
    sums = {item.request.path.name: item.checksums for item in report.fetched if item.checksums}

    def filled(item: HubFile) -> HubFile:
        found = sums.get(item.blob)
        return replace(item, sha256=found.sha256) if found else item

    return [
        replace(repo, files=tuple(filled(item) for item in repo.files or ()))
        for repo in report.job.repos
        if report.is_whole(repo.repo)
    ]


def _file(item: FetchedFile) -> dict[str, Any]:
    sums = item.checksums
    return {
        "name": item.request.name,
        "owner": item.request.owner,
        "path": str(item.request.path),
        "how": item.how,
        "size": item.size,
        "sha256": sums.sha256 if sums else None,
    }


def common_exit_code(errors: Iterable[VldockError]) -> int:
    """Return the exit code shared by all errors.

    It is 1 where they differ, 0 for no errors.
    """
    codes = {error.exit_code for error in errors}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1
