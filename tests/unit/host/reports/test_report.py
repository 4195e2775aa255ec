"""EVALUATION_REPORT.md, the result tables, and the lines of a run on the screen."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from rich.console import Console
from support.builders import BENCHMARKS, MODELS, TIME, a_cell, a_plan

from vldock.common import matrix
from vldock.common.cell_record import Cell
from vldock.host.matrix import progress as matrix_progress
from vldock.host.matrix.runner import RunOutcome
from vldock.host.reports import markdown as markdown_report
from vldock.host.reports import run_summary
from vldock.host.reports import tables as result_tables
from vldock.host.runs.events import one_line, parse
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.record import RunRecord, WorkPeriod

GOLDEN = Path(__file__).parent / "golden" / "EVALUATION_REPORT.md"
FOLDER = RunFolder(Path("/outputs/20260102-030405"))


GOOD = {"event": "cell_end", "model": "m", "benchmark": "POPE", "status": "succeeded", "score": 90.0, "samples": 3}


def a_record(**plan: Any) -> RunRecord:
    session = WorkPeriod(TIME, "2026-01-02T03:26:04+00:00")
    facts = {"vldock": "0.1.0", "lock sha256": "f" * 64}
    return RunRecord("r1", TIME, a_plan(**plan), "finished", (session,), facts)


def all_cells() -> list[Cell]:
    cells = [
        a_cell(model, name, score=score)
        for model in MODELS
        for name, score in zip(BENCHMARKS, (90, 95.25, 100), strict=True)
    ]
    cells[-1] = a_cell(MODELS[1], BENCHMARKS[2], status="failed", score=None, metric=None, error="out of | memory")
    return cells


def test_the_report_is_the_golden_one(update_golden: bool) -> None:
    text = markdown_report.render(FOLDER, a_record(), all_cells())

    if update_golden:
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_seven_models_have_one_column_each() -> None:
    models = tuple(model.name for model in matrix.MODELS)
    cells = [a_cell(model, "POPE") for model in models[1:]]

    text = markdown_report.render(FOLDER, a_record(models=models, benchmarks=("POPE",)), cells)

    assert f"| benchmark | kind | metric | {' | '.join(models)} |\n" in text
    row = next(line for line in text.splitlines() if line.startswith("| POPE |"))
    assert row.count("|") == 3 + 1 + len(models)
    assert "| not run | 90.0" in row


def test_prompts_that_were_cut_are_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.cell(MODELS[0], "POPE").mkdir(parents=True)
    content = {"schema": 1, "prompts": {"cut": ["3", "7"]}}
    (folder.cell(MODELS[0], "POPE") / "passport.json").write_text(json.dumps(content))

    assert f"| {MODELS[0]} x POPE | 2 |" in markdown_report.render(folder, a_record(), all_cells())


def test_rows_that_pandas_reads_otherwise_are_told(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for name, rows in (("POPE", 0), ("SEEDBench_IMG", 33)):
        text = {"reading": "as written", "rows_with_missing_words": rows, "rows_respelled": 0}
        folder.cell(MODELS[0], name).mkdir(parents=True)
        (folder.cell(MODELS[0], name) / "passport.json").write_text(json.dumps({"schema": 1, "data": {"text": text}}))

    found = markdown_report.render(folder, a_record(benchmarks=("POPE", "SEEDBench_IMG")), all_cells())

    assert f"| {MODELS[0]} x SEEDBench_IMG | as written | 33 | 0 |" in found
    assert f"| {MODELS[0]} x POPE | as written" not in found


def test_what_was_told_of_a_table_is_in_the_report_by_kind_and_count() -> None:
    cells = [replace(all_cells()[0], findings={"not-offered": 3}), *all_cells()[1:]]

    text = markdown_report.render(FOLDER, a_record(), cells)

    assert f"| {cells[0].model} x {cells[0].benchmark} | answer that is not among the options | 3 |" in text
    assert "told of the tables" not in markdown_report.render(FOLDER, a_record(), all_cells())


def test_a_stand_in_is_named_in_the_head_and_over_the_scores() -> None:
    text = markdown_report.render(FOLDER, a_record(), all_cells())

    assert "**STAND-IN.**" in text.partition("## Scores (STAND-IN)")[0]
    real = [replace(cell, standin=False) for cell in all_cells()]
    assert "STAND-IN" not in markdown_report.render(FOLDER, a_record(standin=False), real).replace("--standin", "")


def test_a_cell_that_did_not_run_is_said_to_be_missing() -> None:
    text = markdown_report.render(FOLDER, replace(a_record(), state="interrupted"), all_cells()[:1])

    assert "| llava_v1.5_13b x POPE | not run |" in text
    assert "1 of 6 cells" in text
    assert "vldock matrix --resume /outputs/20260102-030405" in text


@pytest.mark.parametrize("benchmarks", ["all", "all24", "POPE,MMStar"])
def test_the_command_in_the_report_gives_the_same_plan(benchmarks: str) -> None:
    from vldock.host.runs.plan import choose_benchmarks

    words = run_summary.command(a_plan(benchmarks=choose_benchmarks(benchmarks), data="/my data")).split()

    assert words[words.index("--benchmarks") + 1] == benchmarks
    assert words[words.index("--samples") + 1] == "10"
    assert "--standin" in words


def test_csv_and_xlsx_hold_the_same_rows(tmp_path: Path) -> None:
    cells = all_cells()[:3]

    table = list(csv.reader(io.StringIO(result_tables.write_csv(tmp_path / "r.csv", cells).read_text())))
    sheet = load_workbook(result_tables.write_xlsx(tmp_path / "r.xlsx", cells, standin=True)).active

    assert sheet.title == "STAND-IN"
    assert [[str(value) if value is not None else "" for value in row] for row in sheet.values] == table


def test_an_error_that_begins_with_an_equals_sign_is_no_formula(tmp_path: Path) -> None:
    cells = [a_cell(status="failed", score=None, error="=1+1 \x00 broke")]

    sheet = load_workbook(result_tables.write_xlsx(tmp_path / "r.xlsx", cells, standin=False)).active

    place = sheet.cell(2, result_tables.COLUMNS.index("error") + 1)
    assert (place.data_type, place.value) == ("s", "=1+1  broke")


def test_without_a_terminal_each_cell_is_one_line() -> None:
    screen = Console(file=io.StringIO(), width=140, force_terminal=False)

    with matrix_progress.display(screen, total=2, standin=True) as show:
        show({"event": "progress", "model": "m", "benchmark": "b", "done": 1, "total": 2})
        show(
            {"event": "cell_end", "model": "m", "benchmark": "POPE", "status": "succeeded", "score": 90.0, "samples": 3}
        )
        show({"event": "cell_end", "model": "m", "benchmark": "MMStar", "status": "failed", "error": "why"})

    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[:3] for line in lines] == [["[", "1/2]", "STAND-IN"], ["[", "2/2]", "STAND-IN"]]
    assert lines[1].endswith("FAILED  why")


def test_on_a_terminal_there_are_bars_and_the_same_lines() -> None:
    screen = Console(file=io.StringIO(), width=140, force_terminal=True, color_system=None)

    with matrix_progress.display(screen, total=1, standin=False) as show:
        show({"event": "cell_start", "model": "m", "benchmark": "POPE", "samples": 3})
        show({"event": "progress", "model": "m", "benchmark": "POPE", "done": 2, "total": 3})
        show(
            {"event": "cell_end", "model": "m", "benchmark": "POPE", "status": "succeeded", "score": 90.0, "samples": 3}
        )

    assert "1/1] m" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_at_the_end_has_every_cell_and_the_count() -> None:
    outcome = RunOutcome(FOLDER, a_record(), tuple(all_cells()))
    screen = Console(file=io.StringIO(), width=140)

    screen.print(matrix_progress.table(outcome))
    text = screen.file.getvalue()  # type: ignore[attr-defined]

    assert all(text.count(name) == 2 for name in BENCHMARKS)
    assert "FAILED: out of | memory" in text
    assert matrix_progress.closing_lines(outcome)[0] == "STAND-IN: 5/6 cells succeeded (83.3 %) in 21 min 59 s"


@pytest.mark.parametrize("line", ["", "text", "{torn", '{"no": "event"}', "[1]"])
def test_a_line_that_is_no_event_is_no_event(line: str) -> None:
    assert parse(line) is None


def test_an_event_is_one_line_whatever_it_holds() -> None:
    assert "\n" not in one_line({"event": "retry", "model": "m", "reason": "first\nsecond"})
