"""Output of one job: finished cells, current cell, and cause of its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vldock.host.containers.lifecycle import Exit, Line
from vldock.host.runs.cell_records import TAIL_LINES, tail
from vldock.host.runs.events import Event, parse

REFUSALS = (2, 3, 4)  # common/errors.py: the same again would be refused again
UNFIT = 3


@dataclass
class JobOutput:
    """Finished cells, current cell and last lines of a job.

    `lost` is its message about a lost device, `unloaded` the reason its model could not be loaded, `silent_for` the
    seconds of silence when it was given up.
    """

    done: list[str] = field(default_factory=list)
    current: str | None = None
    exit: Exit | None = None
    silent_for: float | None = None
    lost: str | None = None
    unloaded: str | None = None
    load_seconds: float | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=4 * TAIL_LINES))

    @property
    def code(self) -> int | None:
        """Exit code, once it has ended."""
        return self.exit.code if self.exit else None

    def take(self, line: Line) -> Event | None:
        """Read one line and return its event.

        Any other line is kept as a last line, and None is returned.
        """
        item = parse(line.text) if line.source == "stdout" else None
        if item is None:
            if line.text.strip():
                self.tail.append(line.text.strip())
            return None
        kind, name = item["event"], item.get("benchmark")
        if kind == "cell_start":
            self.current = name
        elif kind == "cell_end":
            self.done.append(str(name))
            self.current = None if self.current == name else self.current
        elif kind == "model_loaded":
            self.load_seconds = item.get("seconds")
        elif kind == "model_failed":
            self.unloaded = str(item.get("error"))
        elif kind == "device_lost":
            self.lost = str(item.get("error"))
        return item

    def cause(self, logs: Iterable[Path]) -> str:
        """Return the cause of the job's end in one line.

        How it ended, during which cell, and its last lines or those of a log.
        """
        if self.unloaded:
            return self.unloaded
        errors = [line for line in self.tail if line.startswith("error:")]
        if errors and self.code in REFUSALS:
            hints = [line for line in self.tail if line.startswith("hint:")]
            words = [line.partition(": ")[2] for line in (errors[0], *hints[:1])]
            return f"refused by the container: {'; '.join(words)}"
        logged = next((words for path in logs if (words := tail(path))), [])
        last = errors or list(self.tail)[-TAIL_LINES:] or logged
        where = f" during {self.current}" if self.current else " before a cell began"
        return f"{self._end()}{where}" + (f"; last lines: {' | '.join(last)}" if last else "")

    def _end(self) -> str:
        if self.silent_for is not None:
            return f"no sign of life for {self.silent_for:.0f} s"
        if self.lost:
            return f"the device was lost ({self.lost})"
        return f"the container ended early: {self.exit}"
