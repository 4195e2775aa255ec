"""cell.json: written whole or not at all, read back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vldock.common.cell_record import CELL_FILE, Cell
from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import write_json

CELL = Cell(
    model="llava_v1.5_7b",
    benchmark="POPE",
    status="succeeded",
    standin=True,
    samples=10,
    predictions=10,
    score=90.0,
    metric="split=Overall|Overall",
    metrics={"split=Overall|Overall": 90.0},
    judge="exact_matching",
    error=None,
    limit=10,
    seconds=1.5,
    started="2026-01-01T00:00:00.000+00:00",
    finished="2026-01-01T00:00:01.500+00:00",
    attempt=1,
    device="cpu",
    dtype="float32",
    attention="sdpa",
    identity={"limit": 10},
)


def test_a_cell_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    CELL.save(tmp_path)

    assert Cell.load(tmp_path) == CELL


def test_korean_and_missing_scores_survive(tmp_path: Path) -> None:
    cell = replace(CELL, score=None, error="데이터 없음", status="failed")

    cell.save(tmp_path)

    assert Cell.load(tmp_path) == cell


def test_no_record_is_none(tmp_path: Path) -> None:
    assert Cell.load(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": "m"}'])
def test_a_file_that_is_no_record_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / CELL_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(InputRefused, match=CELL_FILE) as refusal:
        Cell.load(tmp_path)

    assert refusal.value.exit_code == 4


def test_writing_leaves_nothing_aside(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "x.json", {"a": 1})

    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "a" / "x.json").read_text(encoding="utf-8")) == {"a": 1}


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})

    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})

    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"a": 1}
