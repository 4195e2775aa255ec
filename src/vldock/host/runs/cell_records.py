"""Cell records judged by the plan, and records of cells no container finished."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vldock.common.cell_record import Cell
from vldock.common.errors import InputRefused
from vldock.host.runs.events import Event
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import Key, RunPlan, why_not_success

TAIL_LINES = 3


@dataclass(frozen=True)
class CellRecords:
    """The cells of a run's folder."""

    plan: RunPlan
    folder: RunFolder

    def read(self, key: Key) -> Cell:
        """Return the record of a finished cell.

        It is made a failure where it does not fit the plan.
        """
        path = self.folder.cell(*key)
        try:
            cell = Cell.load(path)
        except InputRefused as error:
            return self.failed(key, error.message)
        if cell is None:
            return self.failed(key, f"the container reported an end but left no {path.name}/cell.json")
        reason = why_not_success(cell, self.plan)
        if reason is None or cell.status == "failed":
            return cell
        return self.failed(key, reason)

    def give_up(self, key: Key, cause: str, attempts: int) -> Cell:
        """Write and return the failed record of a cell no container finished."""
        cell = self.failed(key, cause, attempts)
        cell.save(self.folder.cell(*key))
        return cell

    def failed(self, key: Key, error: str, attempts: int = 1) -> Cell:
        """Return a failed cell of the host's own making."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return Cell(
            model=key[0],
            benchmark=key[1],
            status="failed",
            standin=self.plan.standin,
            samples=self.plan.samples or 0,
            predictions=0,
            score=None,
            metric=None,
            metrics={},
            judge=None,
            error=error,
            limit=self.plan.samples,
            seconds=0.0,
            started=now,
            finished=now,
            attempt=attempts,
            device="unknown",
            dtype="unknown",
            attention="unknown",
            identity={},
        )


def verdict(cell: Cell) -> Event:
    """Return an event's fields for a cell, from the record on disk.

    What the container said does not count.
    """
    return {"status": cell.status, "score": cell.score, "error": cell.error, "standin": cell.standin}


def tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """Return the last non-empty lines of a log.

    There are none where there is no log.
    """
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        text = stream.read().decode("utf-8", "replace")
    return [line.rpartition("\r")[2].strip() for line in text.split("\n") if line.strip()][-lines:]
