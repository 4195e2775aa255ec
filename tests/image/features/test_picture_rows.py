"""Rows of a build: cameras, several data sets, prompts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vldock.common.errors import InputRefused
from vldock.image.features.picture_rows import from_json


def read(folder: Path, *rows: object, **options: str) -> list[tuple[str, int, str, str | None]]:
    """Return (data set, vlm_idx, file, prompt) of rows written as drive.json."""
    (folder / "drive.json").write_text(json.dumps(rows))
    found = from_json(folder / "drive.json", **options)
    return [(row.dataset, row.vlm_idx, row.path.name, row.prompt) for row in found]


def test_every_camera_of_a_row_is_an_image_with_its_own_number(tmp_path: Path) -> None:
    found = read(tmp_path, {"image": ["a", "b"], "say": "go"}, {"image": "c", "say": "stop"}, prompt_key="say")

    assert found == [("drive", 0, "a", "go"), ("drive", 1, "b", "go"), ("drive", 2, "c", "stop")]


def test_an_image_stands_once_for_each_prompt(tmp_path: Path) -> None:
    found = read(tmp_path, {"image": "a", "say": "go"}, {"image": "a", "say": "stop"}, prompt_key="say")

    assert found == [("drive", 0, "a", "go"), ("drive", 1, "a", "stop")]


def test_rows_name_their_data_set_and_number_unless_the_command_does(tmp_path: Path) -> None:
    rows = (
        {"image": "a", "dataset": "day", "vlm_idx": 7},
        {"image": ["b", "c"], "dataset": "night", "vlm_idx": [3, 1]},
    )

    assert [one[:3] for one in read(tmp_path, *rows)] == [("day", 7, "a"), ("night", 3, "b"), ("night", 1, "c")]
    assert {one[0] for one in read(tmp_path, *rows, dataset="all")} == {"all"}


def test_lines_are_rows_too(tmp_path: Path) -> None:
    (tmp_path / "drive.jsonl").write_text('{"image": "a"}\n\n{"image": "b"}\n')

    assert [row.path.name for row in from_json(tmp_path / "drive.jsonl")] == ["a", "b"]


def test_a_conversation_without_a_picture_keeps_its_place(tmp_path: Path) -> None:
    assert [one[1] for one in read(tmp_path, {"conversations": []}, {"image": "a"})] == [1]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"image": 7}, "row 1: image is 7"),
        ({"image": ["a", None]}, "row 1: image is"),
        ({"image": "a", "vlm_idx": -1}, "row 1: vlm_idx is -1"),
        ({"image": ["a", "b"], "vlm_idx": [4]}, r"row 1: vlm_idx is \[4\]"),
        ({"image": "a", "vlm_idx": True}, "row 1: vlm_idx is True"),
        ("text", "row 1: a str"),
        ({"image": "a", "vlm_idx": 0}, "drive row 0 is both first and a"),
    ],
    ids=["a number", "no name", "negative", "too few", "a truth value", "no object", "twice"],
)
def test_a_faulty_row_is_refused_by_its_number(row: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=words):
        read(tmp_path, {"image": "first", "vlm_idx": 0}, row)
