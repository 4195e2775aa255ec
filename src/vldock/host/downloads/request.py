"""Values of a download: the request, the result, the progress listener."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from vldock.host.downloads.partial_file import Checksums, ExpectedFile

How = Literal["downloaded", "resumed", "copied", "kept"]


@dataclass(frozen=True)
class FileRequest:
    """One file to fetch: name, owner, address, path, expected content.

    `owner` is the benchmark or repository it belongs to. `replace`: a wrong file in its place is ours to discard (a
    blob, named by its content); else it is the user's and refused. `seed` is a place that may hold the same bytes.
    """

    name: str
    owner: str
    url: str
    path: Path
    expected: ExpectedFile
    replace: bool = False
    seed: Path | None = None
    size: int | None = None  # reported by the host; not declared, so not checked

    @property
    def total(self) -> int | None:
        """The size, declared or reported by the host."""
        return self.size if self.expected.size is None else self.expected.size

    @property
    def part(self) -> Path:
        """The path of its bytes until they are verified."""
        return self.path.with_name(f"{self.path.name}.part")


@dataclass(frozen=True)
class FetchedFile:
    """A file in its place: its origin and its checksums.

    No checksums where `--quick` trusted its size.
    """

    request: FileRequest
    how: How
    size: int
    checksums: Checksums | None


class ProgressListener(Protocol):
    """Listener of progress."""

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        """Called when `size` bytes of `total` are here."""
