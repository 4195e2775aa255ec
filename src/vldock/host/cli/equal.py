"""`vldock equal`: equality of two sets of predictions, by answer and token."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from vldock.common.equality import Equality
from vldock.host.cli import options
from vldock.host.reports import equality
from vldock.host.reports.equality import PredictionComparison
from vldock.host.util.console import console, print_json, say

PLACE = click.Path(path_type=Path, exists=True, resolve_path=True)
SHOWN = 60  # characters of an answer


@click.command(name="equal")
@click.argument("first", type=PLACE, metavar="A")
@click.argument("second", type=PLACE, metavar="B")
@options.json_option("Print every cell's figures as one JSON object.")
def equal_command(first: Path, second: Path, as_json: bool) -> int:
    """Report whether two sets of predictions are equal, sample by sample.

    A and B are runs of `vldock matrix`, cells, folders of a model (run.py), or prediction files. Answers are compared
    as text, and as token ids where both sides recorded them. Exit code 0: all are equal; 1: one differs, or exists
    on one side only; 4: there are no predictions to compare.

    \b
    Examples:
      vldock equal outputs/20260101-120000 outputs/20260101-130000
      vldock equal stock/llava_v1.5_7b batched/llava_v1.5_7b --json
    """
    found = equality.compare_predictions(first, second)
    if as_json:
        print_json(found.as_json())
        return 0 if found.equal else 1
    console().print(table(found))
    for cell in found.cells:
        if cell.example:
            say(example(cell))
    for line in found.unpaired:
        say(f"not compared: {line}")
    click.echo(closing_line(found))
    return 0 if found.equal else 1


def table(found: PredictionComparison) -> Table:
    """Return the table, a row for each cell."""
    made = Table()
    made.add_column("cell", no_wrap=True)
    for name in ("samples", "answers differ", "tokens", "tokens differ", "only in A", "only in B"):
        made.add_column(name, justify="right")
    for cell in found.cells:
        tokens = (str(cell.tokens), str(cell.differing_tokens)) if cell.noted else ("not noted", "-")
        made.add_row(
            cell.name, str(cell.samples), str(cell.answers), *tokens, str(cell.only_first), str(cell.only_second)
        )
    return made


def example(cell: Equality) -> str:
    """Return a cell's first difference in one line."""
    if cell.example is None:
        return f"{cell.name}: equal"
    item = cell.example
    where = "" if item.token is None else f", from token {item.token} on"
    return f"{cell.name}, sample {item.index}{where}: {_short(item.first)} and {_short(item.second)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def closing_line(found: PredictionComparison) -> str:
    """Return the last line: totals of all cells."""
    asked, answers = sum(cell.samples for cell in found.cells), sum(cell.answers for cell in found.cells)
    tokens, wrong = sum(cell.tokens for cell in found.cells), sum(cell.differing_tokens for cell in found.cells)
    word = "equal" if found.equal else "NOT EQUAL"
    return (
        f"{word}: {answers} of {asked} answers and {wrong} of {tokens} tokens differ, in {len(found.cells)} cells"
        + (f"; {len(found.unpaired)} cells could not be compared" if found.unpaired else "")
    )
