"""`vldock compare A B`: comparison by shared samples.

A and B are two runs, or two cells, and are compared cell by cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from vldock.common.cell_record import CELL_FILE, Cell
from vldock.common.errors import InputRefused, UsageError
from vldock.host.reports import html_page, paired_samples, statistics
from vldock.host.reports.paired_samples import Pair
from vldock.host.runs.events import score_text
from vldock.host.runs.folder import RUN_FILE, RunFolder

FLIPS_SHOWN = 100  # on the page, of one pair of cells
Key = tuple[str, str]  # model, benchmark
CellsOnDisk = dict[Key, tuple[Path, Cell]]


@dataclass(frozen=True)
class Comparison:
    """Pairs of cells, and the unpaired ones with the reason."""

    first: str
    second: str
    standin: bool
    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether any pair differs."""
        return any(pair.differs for pair in self.pairs)

    @property
    def lost(self) -> int:
        """Number of samples of all cells that went from right to wrong."""
        return sum(pair.lost for pair in self.pairs)

    @property
    def gained(self) -> int:
        """Number of samples of all cells that went from wrong to right."""
        return sum(pair.gained for pair in self.pairs)

    @property
    def closing(self) -> str:
        """Summary of all cells in one line."""
        p = statistics.mcnemar(self.lost, self.gained)
        flips = f"{self.lost} right to wrong, {self.gained} wrong to right"
        return f"{flips}, in {len(self.pairs)} cells (exact McNemar: p = {p:.3g})"

    def as_json(self) -> dict[str, Any]:
        """Return the values for --json."""
        return {
            "first": self.first,
            "second": self.second,
            "standin": self.standin,
            "differs": self.differs,
            "lost": self.lost,
            "gained": self.gained,
            "p": statistics.mcnemar(self.lost, self.gained),
            "unpaired": list(self.unpaired),
            "pairs": [pair.as_json() for pair in self.pairs],
        }


def compare(first: Path, second: Path) -> Comparison:
    """Compare two run folders or two cell folders.

    Raises UsageError for a run and a cell, or cells of two benchmarks; InputRefused where nothing can be paired.
    """
    one, two = read_cells(first), read_cells(second)
    if (first / CELL_FILE).is_file() != (second / CELL_FILE).is_file():
        raise UsageError(f"{first} and {second}: a run and a cell", expected="two runs, or two cells")
    keys, left = _match(one, two)
    pairs, unpaired = [], list(left)
    for mine, theirs in keys:
        try:
            pairs.append(paired_samples.pair(one[mine], two[theirs]))
        except InputRefused as refusal:
            if len(keys) == 1:
                raise
            unpaired.append(f"{' x '.join(mine)}: {refusal.message}")
    if not pairs:
        raise InputRefused(
            f"{first} and {second} share no cell", expected="runs of one model or one benchmark at least"
        )
    return Comparison(str(first), str(second), one[keys[0][0]][1].standin, tuple(pairs), tuple(unpaired))


def read_cells(folder: Path) -> CellsOnDisk:
    """Return the cells of a run's or a cell's folder.

    Raises InputRefused for another folder.
    """
    if (folder / CELL_FILE).is_file():
        cell = Cell.load(folder)
        return {(cell.model, cell.benchmark): (folder, cell)} if cell else {}
    if not (folder / RUN_FILE).is_file():
        raise InputRefused(
            f"{folder} is neither a run nor a cell", expected=f"{RUN_FILE} or {CELL_FILE} in it", hint="ls outputs/"
        )
    run = RunFolder(folder)
    found = {key: (run.cell(*key), Cell.load(run.cell(*key))) for key in run.load().plan.cells}
    return {key: (path, cell) for key, (path, cell) in found.items() if cell is not None}


def _match(one: CellsOnDisk, two: CellsOnDisk) -> tuple[list[tuple[Key, Key]], list[str]]:
    """Return the keys of cells to pair, and one line per unpaired cell.

    Cells pair by model and benchmark; where each side has one model only, by benchmark.
    """
    by_benchmark = len({model for model, _ in one}) == 1 == len({model for model, _ in two})
    others = {(key[1] if by_benchmark else key): key for key in two}
    keys = [(key, others[name]) for key in one if (name := key[1] if by_benchmark else key) in others]
    if len(one) == 1 == len(two) and not keys:
        names = " and ".join(key[1] for key in (*one, *two))
        raise UsageError(f"cells of two benchmarks: {names}", expected="two cells of one benchmark")
    firsts, seconds = (set(side) for side in zip(*keys, strict=True)) if keys else (set[Key](), set[Key]())
    return keys, [*_left(one, firsts, "A"), *_left(two, seconds, "B")]


def _left(cells: CellsOnDisk, paired: set[Key], side: str) -> list[str]:
    return [f"{' x '.join(key)}: only in {side}" for key in cells if key not in paired]


def table(comparison: Comparison) -> Table:
    """Return the table `vldock compare` prints."""
    made = Table(title="STAND-IN: no model's scores" if comparison.standin else None, title_justify="left")
    right = {"shared", "A", "B", "points", "right to wrong", "wrong to right", "p"}
    for name in ("cell", "shared", "A", "B", "points", "95 % interval", "right to wrong", "wrong to right", "p"):
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name in ("cell", "95 % interval"))
    for item in comparison.pairs:
        made.add_row(*row(item))
    return made


def row(pair: Pair) -> Sequence[str]:
    """Return the texts of a table's row.

    Scores are of the shared samples where those have verdicts.
    """
    models = pair.model if pair.model == pair.other_model else f"{pair.model} and {pair.other_model}"
    name = f"{models} x {pair.benchmark}"
    shared = f"{pair.judged} of {pair.shared}" if 0 < pair.judged < pair.shared else str(pair.shared)
    if pair.accuracy is None or pair.delta is None or pair.interval is None or pair.p is None:
        first, second = (score_text(score) for score in pair.scores)
        return (name, shared, first, second, "-", "no verdicts", "-", "-", "-")
    first, second = (score_text(score) for score in pair.accuracy)
    interval = f"{pair.interval.low:+.1f} to {pair.interval.high:+.1f}"
    return (
        name,
        shared,
        first,
        second,
        f"{pair.delta:+.1f}",
        interval,
        str(pair.lost),
        str(pair.gained),
        f"{pair.p:.3g}",
    )


def write_page(comparison: Comparison, path: Path) -> Path:
    """Write the comparison as one self-contained HTML file."""
    text = html_page.render(
        "compare.html.j2",
        title="Comparison",
        found=comparison,
        rows=[row(item) for item in comparison.pairs],
        shown=FLIPS_SHOWN,
    )
    return html_page.write(path, text)
