"""predict as typed: without arguments it says what to type, or asks; no model is loaded."""

from __future__ import annotations

import argparse
import io

import pytest

from vldock.common.errors import UsageError
from vldock.image.predict import cli


class Terminal(io.StringIO):
    """Standard input of a terminal."""

    def isatty(self) -> bool:
        return True


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(words)


def test_without_anything_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    with pytest.raises(UsageError, match="no image and no question") as caught:
        cli._request(parse())

    assert '--image PICTURE "What is in the picture?"' in str(caught.value.expected)


@pytest.mark.parametrize(
    ("typed", "images", "question"),
    [("cat.png\nWhat is it?\n", ("cat.png",), "What is it?"), ("\nWho are you?\n", (), "Who are you?")],
    ids=["an image", "no image"],
)
def test_at_a_terminal_it_asks(
    monkeypatch: pytest.MonkeyPatch, typed: str, images: tuple[str, ...], question: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    request = cli._request(parse())

    assert (request.images, request.question) == (images, question)


def test_a_question_on_standard_input_is_read_without_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Who are you?\n"))

    assert cli._request(parse()).question == "Who are you?"
