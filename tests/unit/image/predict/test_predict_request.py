"""Requests from the command line or JSON, and the part of an answer that may be shown."""

from __future__ import annotations

from typing import Any

import pytest

from vldock.common.errors import InputRefused, UsageError
from vldock.image.predict.partial_text import stable_prefix
from vldock.image.predict.request import Request, from_json


def kinds(message: list[dict[str, str]]) -> list[str]:
    return [item["value"] for item in message]


def test_images_come_first_and_a_mark_says_otherwise() -> None:
    first = Request("What differs?", ("a", "b")).message(("/a", "/b"))
    marked = Request("In <image> and <image> what differs?", ("a", "b")).message(("/a", "/b"))

    assert kinds(first) == ["/a", "/b", "What differs?"]
    assert kinds(marked) == ["In ", "/a", " and ", "/b", " what differs?"]


@pytest.mark.parametrize(
    ("question", "images"), [(" \n", ()), ("Is <image> red?", ()), ("<image><image>", ("a",))], ids=repr
)
def test_an_empty_question_and_marks_that_are_not_the_images_are_refused(
    question: str, images: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError):
        Request(question, images)


@pytest.mark.parametrize(
    "line",
    [
        {"id": 7, "image": "a.png", "question": "what?"},
        {"question_id": "7", "images": ["a.png"], "text": "what?"},
    ],
    ids=["ours", "LLaVA's"],
)
def test_a_line_of_ours_and_one_of_llavas_are_the_same_request(line: dict[str, Any]) -> None:
    assert from_json(line) == Request("what?", ("a.png",), "7")


@pytest.mark.parametrize("line", [[], {"image": "a"}, {"question": 1}, {"question": "q", "image": [1]}], ids=repr)
def test_a_line_without_what_it_needs_is_refused(line: Any) -> None:
    with pytest.raises(InputRefused):
        from_json(line)


def test_a_key_changes_with_the_question_the_images_and_the_model() -> None:
    one = Request("q", ("a",))

    keys = {one.key("m"), Request("q2", ("a",)).key("m"), Request("q", ("b",)).key("m"), one.key("n")}

    assert len(keys) == 4
    assert Request("q", ("a",), id="other").key("m") == one.key("m")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("a cat", "a"),
        ("a cat ", "a cat"),
        ("one\ntwo", "one"),
        ("word", ""),
        ("고양이", "고양이"),
        ("a \ufffd\ufffd", "a"),
    ],
)
def test_only_whole_words_of_an_unfinished_answer_are_shown(text: str, shown: str) -> None:
    assert stable_prefix(text) == shown
