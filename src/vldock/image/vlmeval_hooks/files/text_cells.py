"""VLMEvalKit's tables with their text cells exactly as written.

pandas reads "None" and "NA" as missing cells, "007" as 7, "True" as a boolean; a spreadsheet reads "=5" as a formula
and truncates a long text. Options, questions and predictions are none of these. `VLDOCK_UPSTREAM_MISSING=1` reads a
benchmark's table as VLMEvalKit does, with such options left out of the prompt; predictions are text either way.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from vldock.common.tables import text_cells
from vldock.image.vlmeval_hooks.files import text_changes

PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
EXACT_UP_TO = 10**15  # a spreadsheet's number has 15 digits


def read_delimited(path: str, sep: str) -> Any:
    """Return a TSV or CSV as a DataFrame, texts as written.

    Raises the exceptions of pandas.read_csv.
    """
    import pandas

    options: dict[str, Any] = {"sep": sep, "encoding_errors": "surrogatepass"}
    names = _header(path, sep)
    answered = "prediction" in names
    if answered and b"\0" in Path(path).read_bytes():
        options["engine"] = "python"  # the other one ends a text at its first NUL
    texts = dict.fromkeys(text_cells.text_columns(names), str)
    frame = pandas.read_csv(path, dtype=texts, keep_default_na=False, na_values=_missing(names), **options)
    if answered or sep != "\t":
        return frame
    upstream = text_changes.reads_as_upstream()
    text_changes.record_reading(path, frame, upstream=upstream)
    return pandas.read_csv(path, sep=sep) if upstream else frame


def _header(path: str, sep: str) -> list[str]:
    """Return the column names of a TSV or CSV.

    pandas takes as long for them as for a small table.
    """
    with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        return next(filter(None, csv.reader(stream, delimiter=sep)), [])


def write_delimited(frame: Any, path: str, sep: str, quoting: int = csv.QUOTE_ALL) -> None:
    """Write a DataFrame as VLMEvalKit does."""
    frame.to_csv(path, sep=sep, index=False, encoding="utf-8", errors="surrogatepass", quoting=quoting)


def read_workbook(path: str | io.BytesIO) -> Any:
    """Return a workbook's first sheet as a DataFrame, texts as written.

    Raises the exceptions of pandas.
    """
    import pandas

    with pandas.ExcelFile(path, engine="openpyxl") as book:
        names = [str(name) for name in next(book.book.worksheets[0].iter_rows(max_row=1, values_only=True), ())]
        texts = dict.fromkeys(text_cells.text_columns(names), _same)
        frame = book.parse(converters=texts, keep_default_na=False, na_values=_missing(names))
        if text_cells.SHEET not in book.sheet_names:
            return frame
        hidden = book.parse(text_cells.SHEET, dtype=str, keep_default_na=False)
    for (row, column), text in text_cells.unpack(hidden.itertuples(index=False)).items():
        if row < frame.shape[0] and column < frame.shape[1] and frame.iat[row, column] == text_cells.cell_text(text):
            frame.iat[row, column] = text
    return frame


def write_workbook(frame: Any, path: str | io.BytesIO) -> None:
    """Write a DataFrame as a workbook without losing text.

    No text becomes a formula or a link.
    """
    import pandas

    frame = frame.to_frame() if frame.ndim == 1 else frame
    shown = frame.copy(deep=False)
    aside: list[tuple[int, int, str]] = []
    for column in range(frame.shape[1]):
        if frame.dtypes.iloc[column].kind in "Oiu":
            _show_column(shown, column, aside)
    with pandas.ExcelWriter(path, engine="xlsxwriter", engine_kwargs={"options": PLAIN}) as writer:
        shown.to_excel(writer, index=False)
        if aside:
            hidden = pandas.DataFrame(list(text_cells.pack(aside)), columns=list(text_cells.HEADER))
            hidden.to_excel(writer, sheet_name=text_cells.SHEET, index=False)
            writer.sheets[text_cells.SHEET].hide()


def _show_column(frame: Any, column: int, aside: list[tuple[int, int, str]]) -> None:
    """Replace values a workbook cannot show; collect their texts in `aside`."""
    values = list(frame.iloc[:, column])
    changed = False
    for row, value in enumerate(values):
        text = _as_text(value)
        if text is None:
            continue
        seen = text_cells.cell_text(text)
        if seen != text:
            aside.append((row, column, text))
        if seen is not value:
            values[row], changed = seen, True
    if changed:
        import pandas

        frame.isetitem(column, pandas.Series(values, index=frame.index, dtype=object))


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple | dict | set):
        return str(value)
    return str(value) if isinstance(value, int) and abs(value) > EXACT_UP_TO else None


def _same(value: Any) -> Any:
    return value


def _missing(names: list[str]) -> dict[str, list[str]]:
    """Return {column: words read as a missing cell}."""
    words, kept = ["", *text_cells.MISSING], text_cells.word_columns(names)
    return {name: [] if name in text_cells.ANSWERED else [""] if name in kept else words for name in names}
