"""`vldock compare`: flips between two runs or two cells, and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.run_folders import MODELS, a_cell_folder, a_run, tsv_rows, workbook

from vldock.common.cell_record import Cell
from vldock.common.matrix import find_benchmark
from vldock.host.cli.main import cli, invoke
from vldock.host.reports.compare import compare
from vldock.host.reports.paired_samples import Pair
from vldock.host.reports.write import ReportFiles


def a_folder(path: Path, *, benchmark: str = "MMStar", model: str = MODELS[0], wrong_every: int = 3) -> Path:
    found = find_benchmark(benchmark)
    assert found is not None
    a_cell_folder(path, model, found, wrong_every=wrong_every)
    return path


def edit(path: Path, **values: object) -> None:
    cell = Cell.load(path)
    assert cell is not None
    replace(cell, **values).save(path)  # type: ignore[arg-type]


def only_pair(first: Path, second: Path) -> Pair:
    found = compare(first, second)
    assert len(found.pairs) == 1
    return found.pairs[0]


def test_a_cell_compared_with_itself_has_no_flip(tmp_path: Path) -> None:
    cell = a_folder(tmp_path / "a")

    found = only_pair(cell, cell)

    assert (found.flips, found.p, found.delta, found.changed) == ((), 1.0, 0.0, 0)
    assert invoke(cli, ["compare", str(cell), str(cell)]) == 0


def test_flips_are_named_and_counted(tmp_path: Path) -> None:
    first, second = a_folder(tmp_path / "a", wrong_every=3), a_folder(tmp_path / "b", wrong_every=0)

    found = only_pair(first, second)

    assert (found.lost, found.gained, found.shared) == (0, 3, 10)
    assert {flip.index for flip in found.flips} == {"1", "4", "7"}
    assert found.p == pytest.approx(0.25)
    assert found.delta == pytest.approx(30.0)
    assert invoke(cli, ["compare", str(first), str(second)]) == 1


def test_two_models_on_one_benchmark_are_paired(tmp_path: Path) -> None:
    found = only_pair(a_folder(tmp_path / "a"), a_folder(tmp_path / "b", model=MODELS[1]))

    assert (found.model, found.other_model, found.shared) == (*MODELS, 10)


def test_rows_only_one_side_has_are_left_out_and_said(tmp_path: Path) -> None:
    first, second = a_folder(tmp_path / "a"), a_folder(tmp_path / "b")
    rows = [{**row, "prediction": row["answer"]} for row in tsv_rows("MMStar")]
    rows[0]["question"] = "something else"
    workbook(second / f"{MODELS[0]}_MMStar.xlsx", rows[:6])
    edit(second, limit=6, identity={"limit": 6})

    found = only_pair(first, second)

    assert (found.shared, found.unlike, found.only_first, found.only_second) == (5, 1, 4, 0)
    assert "only the 5 samples both have are compared, of 10 and 6" in found.notes
    assert "limit: none and 6" in found.notes


def test_without_verdicts_another_score_is_a_difference(tmp_path: Path) -> None:
    first, second = (a_folder(tmp_path / name, benchmark="VizWiz") for name in "ab")
    assert not compare(first, second).differs
    edit(second, score=12.0)

    found = only_pair(first, second)

    assert found.differs
    assert (found.judged, found.p, found.interval) == (0, None, None)
    assert any("no verdicts: VLMEvalKit records totals only" in note for note in found.notes)


def test_a_circular_question_flips_once_and_shows_what_its_rotations_said(tmp_path: Path) -> None:
    names = [a_folder(tmp_path / str(every), benchmark="MMBench_DEV_EN", wrong_every=every) for every in (0, 3)]

    found = only_pair(*names)

    assert (found.judged, found.lost) == (4, 3)
    assert "right only if all its rotations are" in found.flips[0].after


def test_two_runs_give_every_shared_cell_and_name_the_others(forty_cells: ReportFiles, tmp_path: Path) -> None:
    other = a_run(tmp_path / "other", wrong_every=5)

    found = compare(forty_cells.folder.path, other.path)

    assert len(found.pairs) == 38
    assert [line.partition(":")[0] for line in found.unpaired] == ["llava_v1.5_13b x BLINK"]
    assert found.as_json()["lost"] == sum(pair.lost for pair in found.pairs) > 0


def test_json_and_page_hold_the_flips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (a_folder(tmp_path / str(n), benchmark="POPE", wrong_every=n) for n in (3, 0))
    page = tmp_path / "flips.html"

    code = invoke(cli, ["compare", str(first), str(second), "--json", "--html", str(page)])

    flips = json.loads(capsys.readouterr().out)["pairs"][0]["flips"]
    assert code == 1
    assert any("<script>alert" in flip["before"] for flip in flips)
    assert "<script>alert" not in page.read_text()
    assert page.read_text().count('class="wrong-to-right"') == len(flips)


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    star, pope = a_folder(tmp_path / "star"), a_folder(tmp_path / "pope", benchmark="POPE")
    real, empty = a_folder(tmp_path / "real"), tmp_path / "empty"
    edit(real, standin=False)
    empty.mkdir()
    run = a_run(tmp_path / "run", wrong_every=0).path

    codes = [invoke(cli, ["compare", str(star), str(other)]) for other in (pope, run, real, empty, tmp_path / "none")]

    assert codes == [2, 2, 4, 4, 2]
    told = capsys.readouterr().err
    assert "cells of two benchmarks: MMStar and POPE" in told
    assert "one of the two was made by a STAND-IN" in told
    assert "is neither a run nor a cell" in told


def test_vldock_report_writes_both_files_again_and_says_what_is_in_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_run(tmp_path / "run")

    code = invoke(cli, ["report", str(folder.path), "--json", "--open-samples", "2"])

    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (len(said["cells"]), said["samples"]) == (39, 76)
    assert said["bytes"] == folder.page.stat().st_size
    assert folder.report.is_file()
