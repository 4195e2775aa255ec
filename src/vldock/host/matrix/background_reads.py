"""Reads in a background thread, while containers compute.

So that the end of a run need not wait for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from vldock.common.cell_record import Cell
from vldock.host.reports import score_intervals
from vldock.host.reports.score_intervals import Gathered

Facts = Mapping[str, Any]


class BackgroundReads:
    """Facts of the image, and score intervals of the cells of finished models."""

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vldock-background-reads")
        self._facts = self._pool.submit(facts)
        self._gathered: list[Future[dict[tuple[str, str], score_intervals.Evidence]]] = []

    def __enter__(self) -> BackgroundReads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def facts(self, *, wait: bool = False) -> dict[str, Any]:
        """Return the facts of the image.

        None before they are read, or where that failed: cells are worth more.
        """
        if wait or self._facts.done():
            with contextlib.suppress(Exception):
                return dict(self._facts.result())
        return {}

    def gather(self, folder: Path, cells: Sequence[Cell]) -> None:
        """Start reading the evidence of cells with final files."""
        self._gathered.append(self._pool.submit(score_intervals.gather, folder, cells))

    def gathered(self) -> Gathered:
        """Wait for the reads, and return their evidence."""
        return {key: value for future in self._gathered for key, value in future.result().items()}
