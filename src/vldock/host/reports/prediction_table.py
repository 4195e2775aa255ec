"""Reader of VLMEvalKit's tables: workbook, TSV or JSON (PRED_FORMAT).

Texts are returned as they were written.
"""

from __future__ import annotations

import csv
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vldock.common.tables import text_cells

Rows = list[dict[str, Any]]
VERDICTS = ("hit", "score")  # the numbers a TSV holds as text


def prediction_file(folder: Path, stem: str) -> Path:
    """Return the prediction file of a cell, the newest of several.

    PRED_FORMAT may have made several; .xlsx is returned where there is none.
    """
    paths = [folder / f"{stem}{suffix}" for suffix in READERS]
    there = [path for path in paths if path.is_file()]
    return max(there, key=lambda path: path.stat().st_mtime_ns) if there else paths[0]


def read_table(path: Path) -> tuple[Rows, str | None]:
    """Return the rows of a table, or the reason for none.

    Each row is by column name.
    """
    from openpyxl.utils.exceptions import InvalidFileException

    if not path.is_file():
        return [], f"there is no {path.name}"
    if path.suffix not in READERS:
        return [], f"{path.name} is none of {', '.join(READERS)}"
    unreadable = (zipfile.BadZipFile, zlib.error, InvalidFileException, csv.Error, SyntaxError, LookupError)
    try:
        rows = READERS[path.suffix](path)
    except (*unreadable, ValueError, TypeError, OSError) as error:
        return [], f"{path.name} cannot be read: {type(error).__name__}"
    return (rows, None) if rows and "index" in rows[0] else ([], f"{path.name} has no rows")


def _workbook(path: Path) -> Rows:
    from openpyxl import load_workbook

    return list(_named(text_cells.sheet_rows(load_workbook(path, read_only=True, data_only=True))))


def _named(values: Sequence[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    names = [str(name) for name in values[0]] if values else []
    for row in values[1:]:
        yield dict(zip(names, row, strict=False))


def _tsv(path: Path) -> Rows:
    before = csv.field_size_limit(sys.maxsize)
    try:
        with path.open(encoding="utf-8-sig", errors="surrogatepass", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    finally:
        csv.field_size_limit(before)
    return [{name: _value(name, text) for name, text in row.items()} for row in rows]


def _value(name: str, text: str) -> Any:
    if name in VERDICTS:
        try:
            return float(text)
        except ValueError:
            return None
    return text or None


def _json(path: Path) -> Rows:
    rows = json.loads(path.read_text(encoding="utf-8"))
    found = [rows] if isinstance(rows, dict) else list(rows)
    return [{name: None if value != value else value for name, value in row.items()} for row in found]


READERS: dict[str, Callable[[Path], Rows]] = {".xlsx": _workbook, ".tsv": _tsv, ".json": _json}
