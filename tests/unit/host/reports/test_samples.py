"""Verdicts read from VLMEvalKit's files, and their intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.builders import a_cell
from support.run_folders import BENCHMARKS, a_cell_folder, workbook

from vldock.common.cell_record import Cell
from vldock.common.matrix import find_benchmark
from vldock.host.reports import samples, score_intervals
from vldock.host.reports.write import ReportFiles

MODEL = "llava_v1.5_7b"


def cell_of(tmp_path: Path, name: str) -> tuple[Path, Cell]:
    benchmark = find_benchmark(name)
    assert benchmark is not None
    a_cell_folder(tmp_path, MODEL, benchmark)
    cell = Cell.load(tmp_path)
    assert cell is not None
    return tmp_path, cell


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_an_interval_around_its_score(forty_cells: ReportFiles, name: str) -> None:
    found = forty_cells.gathered[MODEL, name]
    score = next(cell.score for cell in forty_cells.cells if (cell.model, cell.benchmark) == (MODEL, name))

    assert found.reason is None
    assert found.interval is not None
    assert score is not None
    assert found.interval.low < score < found.interval.high + 1e-9


@pytest.mark.parametrize(
    ("name", "units", "method"),
    [
        ("POPE", 10, "bootstrap, of F1"),
        ("MMBench_DEV_EN", 4, "Wilson"),
        ("MMMU_DEV_VAL", 7, "Wilson"),
        ("OCRBench", 10, "Wilson"),
        ("VizWiz", 10, "Hoeffding"),
    ],
)
def test_n_is_the_number_of_units_the_score_is_made_of(
    forty_cells: ReportFiles, name: str, units: int, method: str
) -> None:
    found = forty_cells.gathered[MODEL, name].interval

    assert found is not None
    assert (found.n, found.method) == (units, method)


@pytest.mark.parametrize("name", ["OCRBench", "VizWiz"])
def test_a_benchmark_of_totals_has_samples_without_a_verdict(forty_cells: ReportFiles, name: str) -> None:
    found = forty_cells.gathered[MODEL, name].samples

    assert len(found.rows) == 10
    assert {row.right for row in found.rows} == {None}
    assert found.reason is not None
    assert "totals only" in found.reason


def test_a_rotation_has_its_questions_verdict_and_says_so(forty_cells: ReportFiles) -> None:
    rows = {row.index: row for row in forty_cells.gathered[MODEL, "MMBench_DEV_EN"].samples.rows}

    assert rows["241"].right is False
    assert "right only if all its rotations are" in rows["241"].note
    assert rows["1000241"].score is None
    assert "rotation of question 241" in rows["1000241"].note


@pytest.mark.parametrize(
    ("benchmark", "match", "score"),
    [
        ("DocVQA_VAL", "[0.2, 0.9]", 0.8),
        ("InfoVQA_VAL", "[0.6]", 0.0),
        ("ChartQA_TEST", "[False, True]", 1.0),
        ("TextVQA_VAL", "[1, 0.5]", 0.75),
        ("GQA_TestDev_Balanced", "[0.0]", 0.0),
        ("GQA_TestDev_Balanced", "[]", None),
        ("GQA_TestDev_Balanced", "nonsense(", None),
        ("GQA_TestDev_Balanced", "__import__('os')", None),
    ],
)
def test_figures_per_reference_are_joined_as_vlmevalkit_does(
    tmp_path: Path, benchmark: str, match: str, score: float | None
) -> None:
    row = {"index": 0, "question": "q", "answer": "a", "prediction": "p"}
    stem = f"{MODEL}_{benchmark}"
    workbook(tmp_path / f"{stem}.xlsx", [row])
    workbook(tmp_path / f"{stem}_results.xlsx", [{**row, "eval_match": match}])

    found = samples.read(tmp_path, a_cell(MODEL, benchmark, judge=None)).rows[0]

    assert found.score == (None if score is None else pytest.approx(score))


def test_samples_that_do_not_add_up_to_the_score_give_no_interval(tmp_path: Path) -> None:
    folder, cell = cell_of(tmp_path, "MMStar")

    found = score_intervals.gather_cell(folder, replace(cell, score=99.0))

    assert found.interval is None
    assert found.reason == f"the samples give {cell.score:.2f}, the score is 99.00"


def test_another_judges_verdicts_are_not_taken(tmp_path: Path) -> None:
    folder, cell = cell_of(tmp_path, "MMStar")

    found = samples.read(folder, replace(cell, judge="gpt-4o-mini"))

    assert found.judged == ()
    assert found.reason == f"there is no {MODEL}_MMStar_gpt-4o-mini_result.xlsx"


@pytest.mark.parametrize("content", [b"", b"not a workbook", b"PK\x03\x04torn"])
def test_a_broken_workbook_is_a_reason_and_not_an_error(tmp_path: Path, content: bytes) -> None:
    folder, cell = cell_of(tmp_path, "MMStar")
    (folder / f"{MODEL}_MMStar_exact_matching_result.xlsx").write_bytes(content)

    found = score_intervals.gather_cell(folder, cell)

    assert found.interval is None
    assert "cannot be read" in (found.reason or "")
    assert len(found.samples.rows) == 10
