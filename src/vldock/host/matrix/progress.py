"""Progress of a matrix run: bars or lines, then a table.

Bars are for a terminal; elsewhere each cell has a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from vldock.host.matrix.runner import RunOutcome
from vldock.host.runs.events import Event, Sink, score_text
from vldock.host.util.console import duration_text

STANDIN = "STAND-IN"


@contextmanager
def display(console: Console, *, total: int, standin: bool) -> Iterator[Sink]:
    """Yield a sink that shows events on `console`."""
    lines = ProgressLines(console, total=total, standin=standin)
    if not console.is_terminal:
        yield lines
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield ProgressBars(bars, lines, total=total, standin=standin)


class ProgressLines:
    """Sink that prints one line for each notable event, none for a sample."""

    def __init__(self, console: Console, *, total: int, standin: bool) -> None:
        self._console = console
        self._total = total
        self._mark = f"{STANDIN} " if standin else ""
        self.done = 0

    def __call__(self, item: Event) -> None:
        """Show one event."""
        text = self.text(item)
        if text is not None:
            self._console.print(text, soft_wrap=True)

    def text(self, item: Event) -> str | None:
        """Return the line of an event, or None where it has none."""
        kind = item["event"]
        if kind == "cell_end":
            self.done += 1
            return f"[{self.done:>2}/{self._total}] {self._mark}{cell_text(item)}{_on(item)}"
        if kind == "start":
            device = item.get("device", "unknown").replace("cpu", "CPU")
            return f"{self._mark}{item['model']}: starting on {device}{_on(item)}"
        if kind == "model_loaded":
            return f"{self._mark}{item.get('model', 'model')}: loaded in {item['seconds']:.1f} s{_on(item)}"
        if kind == "retry":
            return f"{item['model']}: {item['reason']}; starting its container once more{_on(item)}"
        if kind == "device_left_out":
            return f"{item['on']} is left out from now on: {item['reason']}"
        return None


def _on(item: Event) -> str:
    return f" [{item['on']}]" if item.get("on") else ""


class ProgressBars:
    """Sink that shows bars.

    The cells of the run, and on each device the samples of its current cell.
    """

    def __init__(self, bars: Progress, lines: ProgressLines, *, total: int, standin: bool) -> None:
        self._bars, self._lines = bars, lines
        self._cells = bars.add_task(f"{STANDIN} cells" if standin else "cells", total=total)
        self._samples: dict[str, TaskID] = {}

    def _of(self, item: Event) -> TaskID:
        name = str(item.get("on", ""))
        if name not in self._samples:
            self._samples[name] = self._bars.add_task("samples", total=None, visible=False)
        return self._samples[name]

    def __call__(self, item: Event) -> None:
        """Show one event."""
        self._lines(item)
        kind = item["event"]
        if kind == "cell_start":
            name = f"{item['model']} {item['benchmark']}{_on(item)}"
            self._bars.reset(self._of(item), description=name, total=item.get("samples") or None, visible=True)
        elif kind == "progress":
            self._bars.update(self._of(item), completed=item["done"], total=item["total"])
        elif kind in ("cell_end", "retry"):
            self._bars.update(self._of(item), visible=False)
            self._bars.update(self._cells, completed=self._lines.done)


def cell_text(item: Event) -> str:
    """Return the line of a finished cell."""
    name = f"{item['model']:<16} {item['benchmark']:<24}"
    if item.get("status") != "succeeded":
        return f"{name} FAILED  {item.get('error')}"
    kept = "  kept" if item.get("kept") else ""
    score = f"{score_text(item.get('score')):>6}"
    return f"{name} {score}  {item.get('samples')} samples  {item.get('seconds', 0):.1f} s{kept}"


def table(outcome: RunOutcome) -> Table:
    """Return the table of all cells."""
    standin, placed = outcome.record.plan.standin, outcome.record.cell_devices
    on = [("on", "left")] if len(set(placed.values())) > 1 else []
    made = Table(title=f"{STANDIN}: no model's scores" if standin else None, title_justify="left")
    for name, justify in (
        ("model", "left"),
        ("benchmark", "left"),
        ("score", "right"),
        ("samples", "right"),
        ("seconds", "right"),
        *on,
        ("status", "left"),
    ):
        made.add_column(name, justify=justify, no_wrap=name != "status")  # type: ignore[arg-type]
    by_key = {(cell.model, cell.benchmark): cell for cell in outcome.cells}
    for model, benchmark in outcome.record.plan.cells:
        cell = by_key.get((model, benchmark))
        if cell is None:
            made.add_row(model, benchmark, "-", "-", "-", *["-" for _ in on], "not run")
            continue
        status = cell.status if cell.status == "succeeded" else f"FAILED: {cell.error}"
        where = [placed.get((model, benchmark), "-") for _ in on]
        made.add_row(model, benchmark, score_text(cell.score), str(cell.samples), f"{cell.seconds:.1f}", *where, status)
    return made


def closing_lines(outcome: RunOutcome) -> list[str]:
    """Return the last lines: success rate, duration, paths of the reports."""
    mark = f"{STANDIN}: " if outcome.record.plan.standin else ""
    rate = 100 * outcome.succeeded / max(1, outcome.total)
    return [
        f"{mark}{outcome.succeeded}/{outcome.total} cells succeeded ({rate:.1f} %) "
        f"in {duration_text(outcome.record.seconds)}",
        f"report: {outcome.folder.report}",
        f"to look at: {outcome.folder.page}",
    ]
