"""Display of a fetch: its plan, progress and end.

Progress is bars on a terminal, lines elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from vldock.host.downloads.execute import FetchDisplay, FetchReport, free_bytes
from vldock.host.downloads.plan import DownloadJob, bytes_here
from vldock.host.downloads.request import FetchedFile, FileRequest
from vldock.host.util.console import size_text
from vldock.host.util.redaction import bare_url
from vldock.host.util.worker_threads import WorkResult

NAME_WIDTH = 44


class LineDisplay:
    """One line for each file that ends; errors as they come."""

    def __init__(self, console: Console, *, total: int) -> None:
        self.console, self.total, self.count = console, total, 0

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        """Do nothing: progress is for bars only."""

    def on_end(self, done: WorkResult[FileRequest, FetchedFile]) -> None:
        """Print the file's end."""
        self.count += 1
        self.console.print(f"[{self.count}/{self.total}] {_end(done)}", soft_wrap=True)


class BarDisplay(LineDisplay):
    """Progress bars of the files under way.

    Above them is a line for each file that ended.
    """

    def __init__(self, console: Console, progress: Progress, *, total: int) -> None:
        super().__init__(console, total=total)
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}
        self.lock = threading.Lock()

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        """Move the file's bar."""
        with self.lock:
            if request.name not in self.tasks:
                name = request.name if len(request.name) <= NAME_WIDTH else f"…{request.name[1 - NAME_WIDTH :]}"
                self.tasks[request.name] = self.progress.add_task(escape(name), total=total)
        self.progress.update(self.tasks[request.name], completed=size, total=total)

    def on_end(self, done: WorkResult[FileRequest, FetchedFile]) -> None:
        """Replace the bar by a line."""
        with self.lock:
            task = self.tasks.pop(done.item.name, None)
        if task is not None:
            self.progress.remove_task(task)
        super().on_end(done)


@contextmanager
def open_display(console: Console, *, total: int) -> Iterator[FetchDisplay]:
    """Yield the display of progress on `console`."""
    if not console.is_terminal:
        yield LineDisplay(console, total=total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield BarDisplay(progress.console, progress, total=total)


def plan_lines(job: DownloadJob) -> list[str]:
    """Return a line for each file, then the sums.

    A file's line has its state and source.
    """
    lines = [f"{_state(item):>22}  {item.name}  from {_source(item)}" for item in job.files]
    unknown = sum(item.total is None and not item.path.is_file() for item in job.files)
    missing = size_text(job.missing_bytes()) + (f" and {unknown} files of unknown size" if unknown else "")
    folders = sorted({str(item.path.parents[2 if item.replace else 0]) for item in job.files})
    return [*lines, f"{len(job.files)} files; {missing} to download"] + [
        f"into {folder}: {size_text(free_bytes(job.files[0].path))} free" for folder in folders
    ]


def plan_json(job: DownloadJob) -> dict[str, Any]:
    """Return the plan as plain values."""
    files = [
        {
            "name": item.name,
            "owner": item.owner,
            "from": _source(item),
            "path": str(item.path),
            "size": item.total,
            "here": bytes_here(item),
            "expected": str(item.expected),
        }
        for item in job.files
    ]
    return {"files": files, "repositories": job.repos_json(), "missing_bytes": job.missing_bytes()}


def unpinned_lines(job: DownloadJob) -> list[str]:
    """Return a line for each repository of which a branch or tag, and not a lock's commit, decided the files."""
    return [
        f"{item.repo} is not pinned: its {item.reference} is commit {item.revision} now; "
        "every file is checked against the Hub's own listing of it"
        for item in job.repos
        if not item.pinned
    ]


def closing_lines(report: FetchReport) -> list[str]:
    """Return the last lines: each failure with its hint, or the total."""
    if not report.failures:
        size = sum(item.size for item in report.fetched)
        fetched = sum(item.how != "kept" for item in report.fetched)
        return [f"complete: {len(report.fetched)} files, {size_text(size)}, {fetched} of them new"]
    failures = [f"{name}\n{error.render()}" for name, error in report.failures]
    return [
        *failures,
        f"{len(report.failures)} of {len(report.job.files)} given up; the same command goes on from here",
    ]


def _end(done: WorkResult[FileRequest, FetchedFile]) -> str:
    if done.result is None:
        return f"FAILED {done.item.name}: {done.error}"
    fetched = done.result
    verified = [kind for kind in ("sha256", "md5", "git") if getattr(fetched.request.expected, kind)]
    proof = f"{' and '.join(verified)} verified" if fetched.checksums else "size only"
    return f"{fetched.how} {fetched.request.name} ({size_text(fetched.size)}, {proof})"


def _state(item: FileRequest) -> str:
    size = "size unknown" if item.total is None else size_text(item.total)
    if item.path.is_file():
        return f"here, {size_text(item.path.stat().st_size)}"
    return f"{size_text(bytes_here(item))} of {size}" if bytes_here(item) else size


def _source(item: FileRequest) -> str:
    return bare_url(item.url)
