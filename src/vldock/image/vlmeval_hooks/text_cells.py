"""Tables as VLMEvalKit reads and writes them, their texts as they were written.

pandas takes "None" and "NA" for missing cells, "007" for 7, "True" for a truth value; a spreadsheet takes "=5" for a
formula and cuts a long text. Options, questions and predictions are none of these. `VLDOCK_UPSTREAM_MISSING=1` reads
a benchmark's table as VLMEvalKit does, with such options left out of the prompt; predictions are text either way.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common import text_cells
from vldock.common.errors import UsageError
from vldock.image.vlmeval_hooks import data

VARIABLE = "VLDOCK_UPSTREAM_MISSING"
PLAIN = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
EXACT_UP_TO = 10**15  # a spreadsheet's number has 15 digits

_readings: dict[str, Reading] = {}


@dataclass(frozen=True)
class Reading:
    """How a benchmark's table was read: rows with a word pandas drops, and rows with a number it respells."""

    rows: int
    respelled: int
    words: tuple[str, ...]
    upstream: bool

    def facts(self) -> dict[str, Any]:
        """Return what identity and passport hold."""
        reading = "as VLMEvalKit reads it" if self.upstream else "as written"
        return {"reading": reading, "rows_with_missing_words": self.rows, "rows_respelled": self.respelled}

    def line(self, name: str) -> str:
        """Return the line of the log."""
        told = []
        if self.rows:
            words = ", ".join(self.words)
            told.append(f"{self.rows} rows have an option, question or answer that pandas takes for missing ({words})")
        if self.respelled:
            told.append(f"{self.respelled} rows have a number that pandas spells otherwise")
        done = f"left as VLMEvalKit reads them ({VARIABLE}=1)" if self.upstream else "read as written"
        cure = "" if self.upstream else f"; {VARIABLE}=1 reads them as VLMEvalKit does"
        return f"{name}: {' and '.join(told)}: {done}{cure}"


def upstream_wanted(env: Mapping[str, str] | None = None) -> bool:
    """Return whether benchmarks are read as VLMEvalKit does; raises UsageError for a value that is neither 0 nor 1."""
    value = (os.environ if env is None else env).get(VARIABLE, "").strip()
    if value not in ("", "0", "1"):
        raise UsageError(f"{VARIABLE}={value}", expected="1 (as VLMEvalKit reads a table) or 0 (as written)")
    return value == "1"


def reading_of(dataset: Any) -> Reading | None:
    """Return how this process read a benchmark's table; None where no cell of it is a matter of reading."""
    path = getattr(dataset, "data_path", None) or data.lmu_data_root() / f"{dataset.dataset_name}.tsv"
    name = os.path.abspath(path)  # noqa: PTH100
    return _readings.get(name) or _readings.get(name.replace(".tsv", "_local.tsv"))


def identity_of(dataset: Any) -> dict[str, Any]:
    """Return what an identity adds for a table whose prompts depend on how it was read; nothing for any other."""
    reading = reading_of(dataset)
    return {"text": reading.facts()} if reading else {}


def passport_of(dataset: Any) -> dict[str, Any]:
    """Return what a passport tells of every table: how it was read, and how many rows that concerns."""
    reading = reading_of(dataset) or Reading(0, 0, (), upstream=upstream_wanted())
    return {"text": reading.facts()}


def read_delimited(path: str, sep: str) -> Any:
    """Return a TSV or CSV as a DataFrame, texts as written; raises what pandas.read_csv does."""
    import pandas

    options: dict[str, Any] = {"sep": sep, "encoding_errors": "surrogatepass"}
    names = [str(name) for name in pandas.read_csv(path, nrows=0, **options).columns]
    answered = "prediction" in names
    if answered and b"\0" in Path(path).read_bytes():
        options["engine"] = "python"  # the other one ends a text at its first NUL
    texts = {name: str for name in names if text_cells.is_text(name)}
    frame = pandas.read_csv(path, dtype=texts, keep_default_na=False, na_values=_missing(names), **options)
    if answered or sep != "\t":
        return frame
    upstream = upstream_wanted()
    if reading := _look(frame, upstream=upstream):
        name = os.path.abspath(path)  # noqa: PTH100
        if _readings.get(name) != reading:
            _readings[name] = reading
            print(reading.line(os.path.basename(path).removesuffix(".tsv")), flush=True)  # noqa: PTH119
    return pandas.read_csv(path, sep=sep) if upstream else frame


def write_delimited(frame: Any, path: str, sep: str, quoting: int = csv.QUOTE_ALL) -> None:
    """Write a DataFrame as VLMEvalKit does."""
    frame.to_csv(path, sep=sep, index=False, encoding="utf-8", errors="surrogatepass", quoting=quoting)


def read_workbook(path: str | io.BytesIO) -> Any:
    """Return the first sheet of a workbook as a DataFrame, texts as they were written; raises what pandas does."""
    import pandas

    with pandas.ExcelFile(path, engine="openpyxl") as book:
        names = [str(name) for name in book.parse(nrows=0).columns]
        texts = {name: _same for name in names if text_cells.is_text(name)}
        frame = book.parse(converters=texts, keep_default_na=False, na_values=_missing(names))
        if text_cells.SHEET not in book.sheet_names:
            return frame
        hidden = book.parse(text_cells.SHEET, dtype=str, keep_default_na=False)
    for (row, column), text in text_cells.unpacked(hidden.itertuples(index=False)).items():
        if row < frame.shape[0] and column < frame.shape[1] and frame.iat[row, column] == text_cells.shown(text):
            frame.iat[row, column] = text
    return frame


def write_workbook(frame: Any, path: str | io.BytesIO) -> None:
    """Write a DataFrame as a workbook: no text becomes a formula or a link, and none is lost."""
    import pandas

    shown = frame.copy(deep=False)
    aside: list[tuple[int, int, str]] = []
    for column in range(frame.shape[1]):
        if frame.dtypes.iloc[column].kind in "Oiu":
            _show_column(shown, column, aside)
    with pandas.ExcelWriter(path, engine="xlsxwriter", engine_kwargs={"options": PLAIN}) as writer:
        shown.to_excel(writer, index=False)
        if aside:
            hidden = pandas.DataFrame(list(text_cells.packed(aside)), columns=list(text_cells.HEADER))
            hidden.to_excel(writer, sheet_name=text_cells.SHEET, index=False)
            writer.sheets[text_cells.SHEET].hide()


def _show_column(frame: Any, column: int, aside: list[tuple[int, int, str]]) -> None:
    """Put what a workbook can show in place of a column's values, and what it cannot into `aside`."""
    values = list(frame.iloc[:, column])
    changed = False
    for row, value in enumerate(values):
        text = _as_text(value)
        if text is None:
            continue
        seen = text_cells.shown(text)
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
    """Return which words are a missing cell, by column."""
    words = ["", *text_cells.MISSING]
    return {
        name: [] if name in text_cells.ANSWERED else [""] if text_cells.keeps_words(name) else words for name in names
    }


def _look(frame: Any, *, upstream: bool) -> Reading | None:
    """Return how many rows of a table read as written pandas would have read otherwise; None for none."""
    import pandas

    dropped = pandas.Series(False, index=frame.index)
    respelled = dropped.copy()
    words: set[str] = set()
    for column in frame.columns:
        name = str(column)
        if text_cells.keeps_words(name):
            lost = frame[column].isin(text_cells.MISSING)
            words |= set(frame[column][lost])
            dropped |= lost
        if text_cells.is_text(name) and _looks_numeric(frame[column]):
            written = io.StringIO(frame[[column]].to_csv(index=False, quoting=csv.QUOTE_ALL))
            other = pandas.read_csv(written)[column].set_axis(frame.index)
            respelled |= frame[column].notna() & other.notna() & (other.astype(str) != frame[column])
    counted = Reading(int(dropped.sum()), int(respelled.sum()), tuple(sorted(words)), upstream)
    return counted if counted.rows or counted.respelled else None


def _looks_numeric(values: Any) -> bool:
    """Return whether pandas would make numbers, or truth values, of a whole column of texts."""
    import pandas

    there = values[values.notna() & ~values.isin(text_cells.MISSING)]
    if there.empty:
        return False
    truths = {"true", "false"}
    first = str(there.iloc[0]).strip().lower()
    if first in truths:
        return bool(there.str.lower().isin(truths).all())
    if pandas.isna(pandas.to_numeric(pandas.Series([first]), errors="coerce")[0]):
        return False
    return bool(pandas.to_numeric(there, errors="coerce").notna().all())
