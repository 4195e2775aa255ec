"""A listener that ignores the progress of a download."""

from __future__ import annotations

from vldock.host.downloads.request import FileRequest


class NoProgress:
    """Ignores progress."""

    def on_progress(self, request: FileRequest, size: int, total: int | None) -> None:
        """Do nothing."""
