"""`vldock equal`: two sets of predictions, answer by answer and token by token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.run_folders import MODELS, a_cell_folder, a_run, workbook

from vldock.common.errors import InputRefused
from vldock.common.matrix import find_benchmark
from vldock.host.cli.main import cli, invoke
from vldock.host.reports.equality import compare_predictions

STEM = f"{MODELS[0]}_POPE"


def predictions(folder: Path, answers: dict[str, str], tokens: dict[str, list[int]] | None = None) -> Path:
    """Write a prediction file as run.py does, with its notes; return the folder."""
    folder.mkdir(exist_ok=True)
    workbook(folder / f"{STEM}.xlsx", [{"index": index, "prediction": text} for index, text in answers.items()])
    (folder / f"{STEM}_identity.json").write_text("{}")
    notes = [json.dumps({"index": index, "answer": ids}) for index, ids in (tokens or {}).items()]
    (folder / f"{STEM}_prompts.jsonl").write_text("\n".join([*notes, '{"index": "torn']))
    return folder


def test_a_run_equals_itself_but_for_the_cell_that_failed(tmp_path: Path) -> None:
    run, other = a_run(tmp_path / "a").path, a_run(tmp_path / "b", wrong_every=4).path

    found = compare_predictions(run, run)

    assert len(found.cells) == 38
    assert all(cell.equal for cell in found.cells)
    assert [line.split(":")[0] for line in found.unpaired] == ["llava_v1.5_13b x BLINK"]
    assert not all(cell.equal for cell in compare_predictions(run, other).cells)


def test_equal_predictions_are_exit_0(tmp_path: Path) -> None:
    one, two = predictions(tmp_path / "a", {"1": "Yes"}), predictions(tmp_path / "b", {"1": "Yes"})

    assert invoke(cli, ["equal", str(one), str(two)]) == 0


def test_answers_and_tokens_that_differ_are_counted(tmp_path: Path) -> None:
    one = predictions(tmp_path / "a", {"1": "Yes", "2": "No", "3": "a cat"}, {"1": [4, 2], "2": [5, 2], "3": [6, 7, 2]})
    two = predictions(tmp_path / "b", {"1": "Yes", "2": "No", "3": "a dog"}, {"1": [4, 2], "2": [5, 2], "3": [6, 8]})

    (cell,) = compare_predictions(one, two).cells

    assert (cell.samples, cell.answers, cell.tokens, cell.differing_tokens) == (3, 1, 7, 2)
    assert cell.example is not None
    assert (cell.example.index, cell.example.first, cell.example.second, cell.example.token) == (
        "3", "a cat", "a dog", 1,
    )  # fmt: skip


def test_equal_text_from_other_tokens_is_not_equal(tmp_path: Path) -> None:
    one = predictions(tmp_path / "a", {"1": "Yes"}, {"1": [4, 2]})
    two = predictions(tmp_path / "b", {"1": "Yes"}, {"1": [9, 4, 2]})

    assert not compare_predictions(one, two).equal


def test_without_notes_the_text_decides(tmp_path: Path) -> None:
    one, two = predictions(tmp_path / "a", {"1": "Yes"}), predictions(tmp_path / "b", {"1": "Yes"}, {"1": [4]})

    found = compare_predictions(one, two)

    assert found.equal
    assert found.cells[0].noted == 0


def test_a_sample_only_one_side_has_is_a_difference(tmp_path: Path) -> None:
    one, two = predictions(tmp_path / "a", {"1": "Yes", "2": "No"}), predictions(tmp_path / "b", {"1": "Yes"})

    assert compare_predictions(one, two).cells[0].only_first == 1
    assert invoke(cli, ["equal", str(one), str(two)]) == 1


def test_a_cell_only_one_side_has_is_a_difference(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, names in zip(folders, (("POPE", "MMStar", "BLINK"), ("POPE", "MMStar")), strict=True):
        for name in names:
            benchmark = find_benchmark(name)
            assert benchmark is not None
            a_cell_folder(folder / MODELS[0] / name, MODELS[0], benchmark)

    found = compare_predictions(*folders)

    assert [cell.equal for cell in found.cells] == [True, True]
    assert found.unpaired == (f"{MODELS[0]} x BLINK: only in A",)
    assert not found.equal


def test_two_files_are_compared_whatever_their_names(tmp_path: Path) -> None:
    one, two = predictions(tmp_path / "a", {"1": "Yes"}), predictions(tmp_path / "b", {"1": "No"})
    other = (two / f"{STEM}.xlsx").rename(two / "renamed.xlsx")

    assert compare_predictions(one / f"{STEM}.xlsx", other).cells[0].answers == 1


def test_what_holds_no_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="holds no predictions"):
        compare_predictions(tmp_path, tmp_path)

    assert invoke(cli, ["equal", str(tmp_path), str(tmp_path)]) == 4


def test_json_has_every_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = predictions(tmp_path / "a", {"1": "Yes"}), predictions(tmp_path / "b", {"1": "No"})

    invoke(cli, ["equal", str(one), str(two), "--json"])

    found = json.loads(capsys.readouterr().out)
    assert found["equal"] is False
    assert found["cells"][0]["example"]["second"] == "No"
