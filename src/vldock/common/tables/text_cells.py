"""Text cells: the columns that hold text, and its storage in a workbook.

A workbook cuts a cell at 32,767 characters and has no control characters. Such a cell is shown as near as can be, and
its text stands in base64 on a hidden second sheet, by row and column. A text counts only while its cell shows what it
was written with: a cell that somebody has edited keeps the edit.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from string import ascii_uppercase
from typing import Any

ANSWERED = ("prediction", "thinking")  # a cell of these that is empty is an empty text
PROSE = ("question", "hint", *ANSWERED)
SHEET = "vldock_text"
HEADER = ("row", "column", "part", "base64")
LONGEST = 32_767  # UTF-16 units
PART = 32_000  # of base64 in a cell
# what pandas takes for a missing cell (pandas._libs.parsers.STR_NA_VALUES), but for the empty one
MISSING = frozenset(
    {
        *("-1.#IND", "1.#QNAN", "1.#IND", "-1.#QNAN", "#N/A N/A", "#N/A", "N/A", "n/a", "NA"),
        *("<NA>", "#NA", "NULL", "null", "NaN", "-NaN", "nan", "-nan", "None"),
    }
)
_OUTSIDE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|x(?=[0-9A-Fa-f]{4}_)")


def text_columns(names: Collection[str]) -> set[str]:
    """Return the columns of text, also of text like numbers.

    Options are the letters from A on without a gap: X and Y alone may be coordinates.
    """
    options = takewhile(lambda letter: letter in names, ascii_uppercase)
    return {*options, *(name for name in PROSE if name in names)}


def word_columns(names: Collection[str]) -> set[str]:
    """Return the columns with "None" or "NA" as text.

    In a hint it remains a missing value, which no prompt shows.
    """
    return (text_columns(names) | ({"answer"} & set(names))) - {"hint"}


def cell_text(text: str) -> str:
    """Return the text a workbook's cell shows for `text`.

    Unchanged where a workbook can hold it.
    """
    if len(text) * 2 > LONGEST:
        units = text.encode("utf-16-le", "surrogatepass")
        if len(units) > 2 * LONGEST:
            text = units[: 2 * LONGEST].decode("utf-16-le", "ignore")
    return _OUTSIDE.sub("\ufffd", text.replace("\r\n", "\n"))


def pack(cells: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, int, str]]:
    """Yield the rows of the hidden sheet for (row, column, text).

    Both are counted from 0 below the header.
    """
    for row, column, text in cells:
        code = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        for number, start in enumerate(range(0, len(code), PART)):
            yield row, column, number, code[start : start + PART]


def unpack(rows: Iterable[Sequence[object]]) -> dict[tuple[int, int], str]:
    """Return {(row, column): text} of the hidden sheet's rows.

    Rows that are no base64 of a text are left out.
    """
    parts: dict[tuple[int, int], dict[int, str]] = {}
    for row, column, number, code in (tuple(values)[:4] for values in rows):
        parts.setdefault((int(str(row)), int(str(column))), {})[int(str(number))] = str(code)
    found = {}
    for place, codes in parts.items():
        try:
            joined = "".join(codes[number] for number in sorted(codes))
            found[place] = base64.b64decode(joined, validate=True).decode("utf-8", "surrogatepass")
        except ValueError:
            continue
    return found


def sheet_rows(book: Any) -> list[list[Any]]:
    """Return the rows of a workbook's first sheet, header included, and close it.

    `book` is openpyxl's; texts are as they were written.
    """
    try:
        rows = [list(row) for row in book.worksheets[0].values]
        hidden = list(book[SHEET].values)[1:] if SHEET in book.sheetnames else []
    finally:
        book.close()
    for (row, column), text in unpack(hidden).items():
        line = rows[row + 1] if row + 1 < len(rows) else []
        if column < len(line) and line[column] == cell_text(text):
            line[column] = text
    return rows
