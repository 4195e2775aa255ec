"""What is read in a thread while containers compute, so that a run's end need not wait for it."""

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
    """The facts of the image, and the evidence behind the cells of models that are done."""

    def __init__(self, facts: Callable[[], Facts]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vldock-meanwhile")
        self._facts = self._pool.submit(facts)
        self._gathered: list[Future[dict[tuple[str, str], score_intervals.Evidence]]] = []

    def __enter__(self) -> BackgroundReads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def facts(self, *, wait: bool = False) -> dict[str, Any]:
        """Return what is known of the image: nothing yet, or where it could not be asked. Cells are worth more."""
        if wait or self._facts.done():
            with contextlib.suppress(Exception):
                return dict(self._facts.result())
        return {}

    def gather(self, folder: Path, cells: Sequence[Cell]) -> None:
        """Have the evidence of cells read whose files are final."""
        self._gathered.append(self._pool.submit(score_intervals.gather, folder, cells))

    def gathered(self) -> Gathered:
        """Wait for what is being read, and return it."""
        return {key: value for future in self._gathered for key, value in future.result().items()}
