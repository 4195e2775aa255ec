"""Batches of questions: a failure stops no other, a killed run resumes with the same answers."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from vldock.common.errors import InputRefused
from vldock.image.predict import batch
from vldock.image.predict.request import Answer, Request

QUESTIONS = "\n".join(json.dumps({"id": name, "image": f"{name}.png", "question": f"{name}?"}) for name in "abc")


class Model:
    """Model that answers with the question in capitals, and not to `broken`."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request.id)
        if self.broken and request.id == self.broken:
            raise InputRefused(f"{request.id}.png is damaged")
        return Answer(
            request.question.upper(), 1, 2, "vlmevalkit", "0", False, {}, "m", None, "/m", "cpu", "float32", True
        )


def rows(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def lines(text: str = QUESTIONS) -> list[batch.BatchLine]:
    return batch.read(io.StringIO(text), "q.jsonl")


def test_one_bad_image_fails_its_row_only(tmp_path: Path) -> None:
    counts = batch.run(lines(), tmp_path / "a.jsonl", Model(broken="b"), ["m"])

    assert counts == (2, 0, 1)
    assert [row.get("answer", row.get("error")) for row in rows(tmp_path / "a.jsonl")] == [
        "A?",
        "b.png is damaged",
        "C?",
    ]


def test_a_second_run_asks_what_failed_or_was_torn_and_keeps_the_order(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    batch.run(lines(), out, Model(broken="a"), ["m"])
    out.write_text(out.read_text()[:-20])
    model = Model()

    counts = batch.run(lines(), out, model, ["m"])

    assert (counts, model.asked) == ((2, 1, 0), ["a", "c"])
    assert [row["answer"] for row in rows(out)] == ["A?", "B?", "C?"]


def test_another_model_or_question_answers_anew(tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    batch.run(lines(), out, Model(), ["m"])
    other, changed = Model(), Model()

    batch.run(lines(), out, other, ["another"])
    batch.run(lines(QUESTIONS.replace('"b?"', '"b!"')), out, changed, ["another"])

    assert (other.asked, changed.asked) == (["a", "b", "c"], ["b"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_a_line_that_is_no_question_is_a_row_with_an_error(tmp_path: Path) -> None:
    counts = batch.run(lines('{"question": "q"}\n{torn\n{"id": "x"}'), tmp_path / "a.jsonl", Model(), [])

    assert counts == (1, 0, 2)
    assert [row["id"] for row in rows(tmp_path / "a.jsonl")] == ["line 1", "line 2", "x"]


def test_an_id_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InputRefused, match="'a' is there 2 times"):
        lines(QUESTIONS + "\n" + QUESTIONS.splitlines()[0])
