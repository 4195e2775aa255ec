"""Rows of a benchmark's table that pandas would have read differently."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError
from vldock.common.tables import text_cells
from vldock.image.startup.data_root import lmu_data_root

VARIABLE = "VLDOCK_UPSTREAM_MISSING"

_readings: dict[str, Reading] = {}


@dataclass(frozen=True)
class Reading:
    """Reading of a table, and the number of affected rows.

    `rows` have a word that pandas drops, `respelled` a respelled number.
    """

    rows: int
    respelled: int
    words: tuple[str, ...]
    upstream: bool

    def facts(self) -> dict[str, Any]:
        """Return the fields of identity and passport."""
        reading = "as VLMEvalKit reads it" if self.upstream else "as written"
        return {"reading": reading, "rows_with_missing_words": self.rows, "rows_respelled": self.respelled}

    def line(self, name: str) -> str:
        """Return the log line."""
        changes = []
        if self.rows:
            words = ", ".join(self.words)
            changes.append(
                f"rows with an option, question or answer that pandas takes for missing ({words}): {self.rows}"
            )
        if self.respelled:
            changes.append(f"rows with a number that pandas spells otherwise: {self.respelled}")
        done = f"left as VLMEvalKit reads them ({VARIABLE}=1)" if self.upstream else "read as written"
        hint = "" if self.upstream else f"; {VARIABLE}=1 reads them as VLMEvalKit does"
        return f"{name}: {'; '.join(changes)}; {done}{hint}"


def reads_as_upstream(env: Mapping[str, str] | None = None) -> bool:
    """Return whether benchmarks are read as VLMEvalKit does.

    Raises UsageError for a value other than 0 and 1.
    """
    value = (os.environ if env is None else env).get(VARIABLE, "").strip()
    if value not in ("", "0", "1"):
        raise UsageError(f"{VARIABLE}={value}", expected="1 (as VLMEvalKit reads a table) or 0 (as written)")
    return value == "1"


def find_reading(dataset: Any) -> Reading | None:
    """Return how this process read a benchmark's table.

    None if both readings agree.
    """
    path = getattr(dataset, "data_path", None) or lmu_data_root() / f"{dataset.dataset_name}.tsv"
    name = os.path.abspath(path)  # noqa: PTH100
    return _readings.get(name) or _readings.get(name.replace(".tsv", "_local.tsv"))


def identity_facts(dataset: Any) -> dict[str, Any]:
    """Return an identity's fields about the reading of a table.

    Only for a table whose prompts depend on the reading; otherwise none.
    """
    reading = find_reading(dataset)
    return {"text": reading.facts()} if reading else {}


def passport_facts(dataset: Any) -> dict[str, Any]:
    """Return a passport's fields about the reading of a table.

    For any table: the reading, and the rows it concerns.
    """
    reading = find_reading(dataset) or Reading(0, 0, (), upstream=reads_as_upstream())
    return {"text": reading.facts()}


def record_reading(path: str, frame: Any, *, upstream: bool) -> None:
    """Record, and print once, the differences to pandas' reading of a table."""
    reading, name = _compare_readings(frame, upstream=upstream), os.path.abspath(path)  # noqa: PTH100
    if reading and _readings.get(name) != reading:
        _readings[name] = reading
        print(reading.line(Path(path).stem.removesuffix("_local")), flush=True)


def _compare_readings(frame: Any, *, upstream: bool) -> Reading | None:
    """Return the number of rows pandas would have read differently.

    None for no such row.
    """
    import pandas

    dropped = pandas.Series(False, index=frame.index)
    respelled = dropped.copy()
    words: set[str] = set()
    names = [str(column) for column in frame.columns]
    for column in text_cells.word_columns(names):
        lost = frame[column].isin(text_cells.MISSING)
        words |= set(frame[column][lost])
        dropped |= lost
    for column in text_cells.text_columns(names):
        if _looks_numeric(frame[column]):
            written = io.StringIO(frame[[column]].to_csv(index=False, quoting=csv.QUOTE_ALL))
            other = pandas.read_csv(written)[column].set_axis(frame.index)
            respelled |= frame[column].notna() & other.notna() & (other.astype(str) != frame[column])
    counted = Reading(int(dropped.sum()), int(respelled.sum()), tuple(sorted(words)), upstream)
    return counted if counted.rows or counted.respelled else None


def _looks_numeric(values: Any) -> bool:
    """Return whether pandas would convert a whole text column.

    To numbers or booleans.
    """
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
