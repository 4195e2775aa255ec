"""results/<model>_results.csv and .xlsx: one row per cell."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.filesystem.atomic import write_bytes

COLUMNS = (
    "model",
    "benchmark",
    "status",
    "score",
    "metric",
    "samples",
    "predictions",
    "limit",
    "seconds",
    "judge",
    "standin",
    "device",
    "dtype",
    "attention",
    "attempt",
    "started",
    "finished",
    "error",
    "metrics",
)


def row(cell: Cell) -> list[Any]:
    """Return a cell's values in the order of COLUMNS.

    `metrics` is JSON text, `standin` a conspicuous text.
    """
    values = {name: getattr(cell, name) for name in COLUMNS}
    values["standin"] = "STAND-IN" if cell.standin else ""
    values["limit"] = "all" if cell.limit is None else cell.limit
    values["metrics"] = json.dumps(cell.metrics, ensure_ascii=False, sort_keys=True)
    return [values[name] for name in COLUMNS]


def write_csv(path: Path, cells: Sequence[Cell]) -> Path:
    """Write the table as CSV (UTF-8) and return its path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row(cell) for cell in cells)
    return write_bytes(path, text.getvalue().encode())


def write_xlsx(path: Path, cells: Sequence[Cell], *, standin: bool) -> Path:
    """Write the table as a workbook and return its path.

    The sheet of a stand-in run is named STAND-IN.
    """
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.create_sheet(index=0)
    del book[book.sheetnames[1]]
    sheet.title = "STAND-IN" if standin else "results"
    for number, values in enumerate([list(COLUMNS), *(row(cell) for cell in cells)], start=1):
        for column, value in enumerate(values, start=1):
            place = sheet.cell(number, column)
            text = ILLEGAL_CHARACTERS_RE.sub("", value)[:32000] if isinstance(value, str) else value
            place.value = text
            if isinstance(text, str):
                place.data_type = "s"  # an error that begins with "=" is no formula
            if number == 1:
                place.font = Font(bold=True)
    sheet.freeze_panes = "C2"
    for letter, width in (("A", 18), ("B", 28), ("E", 24), ("R", 40)):
        sheet.column_dimensions[letter].width = width
    made = io.BytesIO()
    book.save(made)
    return write_bytes(path, made.getvalue())
