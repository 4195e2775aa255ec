"""One model of the matrix: its container is started, watched, started once more when it dies, and its cells judged."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from vldock.common.cell import Cell
from vldock.common.errors import InputRefused
from vldock.host.containers import Exit, Line
from vldock.host.events import Event, Sink, event, parse
from vldock.host.plan import Plan, doubt
from vldock.host.run_folder import RunFolder

STRIKES = 2  # a cell, or a model load, that dies twice is given up
REFUSALS = (2, 3, 4)  # common/errors.py: the same again would be refused again
TAIL_LINES = 3


class Watched(Protocol):
    """What `model_run` needs of a container; containers.Container is one."""

    def lines(self) -> Iterator[Line | None]:
        """Yield lines, and None in silence."""

    def wait(self) -> Exit:
        """Return how it ended."""


Launch = Callable[[str, Sequence[str]], AbstractContextManager[Watched]]


@dataclass
class Attempt:
    """What one container did before it ended: the cells it finished, and what it was at."""

    done: set[str] = field(default_factory=set)
    current: str | None = None
    exit: Exit | None = None
    silent_for: float | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=4 * TAIL_LINES))


@dataclass
class ModelRun:
    """The work on one model; `launch` starts its container for the benchmarks it is given."""

    model: str
    plan: Plan
    folder: RunFolder
    launch: Launch
    sink: Sink
    clock: Callable[[], float] = time.monotonic

    def run(self, benchmarks: Sequence[str]) -> dict[str, Cell]:
        """Evaluate the benchmarks and return a cell for each; a cell without a record of its own gets one here."""
        waiting, cells, strikes = list(benchmarks), dict[str, Cell](), Counter[str | None]()
        while waiting:
            attempt = self.attempt(waiting)
            cells |= {name: self.read(name) for name in waiting if name in attempt.done}
            waiting = [name for name in waiting if name not in attempt.done]
            if not waiting:
                break
            culprit = attempt.current if attempt.current in waiting else None
            strikes[culprit] += 1
            permanent = attempt.exit is not None and attempt.exit.code in REFUSALS
            if strikes[culprit] < STRIKES and not permanent and attempt.silent_for is None:
                self.sink(event("retry", model=self.model, benchmark=culprit, reason=self.cause(attempt)))
                continue
            given_up = [culprit] if culprit is not None else waiting
            for name in given_up:
                cells[name] = self.give_up(name, self.cause(attempt))
            waiting = [name for name in waiting if name not in given_up]
        return cells

    def attempt(self, benchmarks: Sequence[str]) -> Attempt:
        """Run one container to its end, or until it has been silent for too long."""
        seen, heard = Attempt(), self.clock()
        with self.launch(self.model, benchmarks) as container:
            for line in container.lines():
                if line is not None:
                    heard = self.clock()
                    self.take(line, seen)
                elif self.plan.timeout and self.clock() - heard > self.plan.timeout:
                    seen.silent_for = self.clock() - heard
                    return seen
            seen.exit = container.wait()
        return seen

    def take(self, line: Line, seen: Attempt) -> None:
        """Take in one line: an event goes on to the sink, anything else is kept as a last word."""
        item = parse(line.text) if line.source == "stdout" else None
        if item is None:
            if line.text.strip():
                seen.tail.append(line.text.strip())
            return
        if item["event"] == "cell_start":
            seen.current = item.get("benchmark")
        if item["event"] != "cell_end":
            self.sink(item)
            return
        name = str(item.get("benchmark"))
        seen.done.add(name)
        seen.current = None if seen.current == name else seen.current
        self.sink({**item, **self.verdict(name)})

    def verdict(self, benchmark: str) -> Event:
        """Return what the record on disk says of a cell that is said to have ended."""
        cell = self.read(benchmark)
        return {"status": cell.status, "score": cell.score, "error": cell.error, "standin": cell.standin}

    def read(self, benchmark: str) -> Cell:
        """Return the record of a finished cell, made a failure where it does not keep what the plan asks."""
        path = self.folder.cell(self.model, benchmark)
        try:
            cell = Cell.load(path)
        except InputRefused as error:
            return self.failed(benchmark, error.message)
        if cell is None:
            return self.failed(benchmark, f"the container reported an end but left no {path.name}/cell.json")
        reason = doubt(cell, self.plan)
        if reason is None or cell.status == "failed":
            return cell
        return self.failed(benchmark, reason)

    def give_up(self, benchmark: str, cause: str) -> Cell:
        """Record a cell no container finished."""
        cell = self.failed(benchmark, cause)
        cell.save(self.folder.cell(self.model, benchmark))
        self.sink({"event": "cell_end", "model": self.model, "benchmark": benchmark, **self.verdict(benchmark)})
        return cell

    def cause(self, attempt: Attempt) -> str:
        """Return one line: how the container ended, what it was at, and its last words."""
        if attempt.silent_for is not None:
            end = f"no sign of life for {attempt.silent_for:.0f} s"
        else:
            end = f"the container ended early: {attempt.exit}"
        errors = [line for line in attempt.tail if line.startswith("error:")]
        if errors and attempt.exit is not None and attempt.exit.code in REFUSALS:
            hints = [line for line in attempt.tail if line.startswith("hint:")]
            words = [line.partition(": ")[2] for line in (errors[0], *hints[:1])]
            return f"refused by the container: {'; '.join(words)}"
        last = errors or list(attempt.tail)[-TAIL_LINES:] or tail(self.folder.model_log(self.model))
        where = f" during {attempt.current}" if attempt.current else " before a cell began"
        return f"{end}{where}" + (f"; last lines: {' | '.join(last)}" if last else "")

    def failed(self, benchmark: str, error: str) -> Cell:
        """Return a failed cell of the host's own making."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return Cell(
            model=self.model,
            benchmark=benchmark,
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
            attempt=STRIKES,
            device="unknown",
            dtype="unknown",
            attention="unknown",
            identity={},
        )


def tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """Return the last lines of a log that say something; none where there is no log."""
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        text = stream.read().decode("utf-8", "replace")
    return [line.rpartition("\r")[2].strip() for line in text.split("\n") if line.strip()][-lines:]
