"""Prediction files: workbook, TSV and JSON, texts as they were written."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from openpyxl import Workbook

from vldock.common.tables import text_cells
from vldock.host.reports.equality import compare_predictions
from vldock.host.reports.prediction_table import prediction_file, read_table

LONG = "x" * 40_000
SAID = ["=5", "None", "a\r\nb", LONG, "\x00_x000D_", "\ud800", ""]


def workbook(path: Path, said: list[str], *, edited: dict[int, str] | None = None) -> Path:
    """Write predictions as the image does; `edited` holds a person's later changes."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(["index", "prediction"])
    for row, text in enumerate(said):
        sheet.append([row, None])
        cell = sheet.cell(row + 2, 2, (edited or {}).get(row, text_cells.cell_text(text)) or None)
        cell.data_type = "s" if text else "n"
    hidden = book.create_sheet(text_cells.SHEET)
    hidden.append(text_cells.HEADER)
    for values in text_cells.pack(
        (row, 1, text) for row, text in enumerate(said) if text_cells.cell_text(text) != text
    ):
        hidden.append(values)
    book.save(path)
    return path


def test_a_workbook_gives_back_every_byte(tmp_path: Path) -> None:
    rows, reason = read_table(workbook(tmp_path / "m_B.xlsx", SAID))

    assert reason is None
    assert [row["prediction"] or "" for row in rows] == SAID


def test_a_cell_that_was_edited_keeps_the_edit(tmp_path: Path) -> None:
    rows, _ = read_table(workbook(tmp_path / "m_B.xlsx", [LONG, LONG], edited={1: "mine"}))

    assert [row["prediction"] for row in rows] == [LONG, "mine"]


@pytest.mark.parametrize("text", ["plain", " blanks ", "tab\tand\nline", "é \U0001f600", "=5", "x" * 32_767])
def test_what_a_workbook_can_hold_is_shown_as_it_is(text: str) -> None:
    assert text_cells.cell_text(text) == text


@pytest.mark.parametrize("text", [LONG, "\U0001f600" * 20_000, "a\rb", "_x000D_", "\x00", "\ufffe", "\ud800"])
def test_what_a_workbook_cannot_hold_is_kept_aside(text: str) -> None:
    assert text_cells.cell_text(text) != text
    assert text_cells.unpack(text_cells.pack([(3, 1, text)])) == {(3, 1): text}


@pytest.mark.parametrize("suffix", ["tsv", "json"])
def test_equal_reads_the_other_formats(tmp_path: Path, suffix: str) -> None:
    for side in "ab":
        folder = tmp_path / side
        folder.mkdir()
        (folder / "m_B_identity.json").write_text("{}")
        rows = [{"index": number, "prediction": text} for number, text in enumerate(SAID) if text != "\ud800"]
        if suffix == "json":
            (folder / "m_B.json").write_text(json.dumps(rows))
        else:
            with (folder / "m_B.tsv").open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, ["index", "prediction"], delimiter="\t", quoting=csv.QUOTE_ALL)
                writer.writeheader()
                writer.writerows(rows)

    found = compare_predictions(tmp_path / "a", tmp_path / "b")

    assert (found.equal, found.cells[0].samples) == (True, len(SAID) - 1)


def test_the_newest_of_two_formats_counts(tmp_path: Path) -> None:
    for number, name in enumerate(("m_B.tsv", "m_B.xlsx")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (100 - number, 100 - number))

    assert prediction_file(tmp_path, "m_B").name == "m_B.tsv"


def test_a_table_of_another_kind_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "m_B.csv").write_text("index\n1\n")

    assert read_table(tmp_path / "m_B.csv") == ([], "m_B.csv is none of .xlsx, .tsv, .json")
