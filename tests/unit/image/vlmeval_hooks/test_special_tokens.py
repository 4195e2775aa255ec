"""An answer that begins with a special token is told at once, counted and in the passport."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vldock.image.vlmeval_hooks.provenance import special_tokens

TOKENS = special_tokens.list_tokens(
    SimpleNamespace(tokenizer=SimpleNamespace(all_special_tokens=["<s>", "", "<|im|>", "<|im|>s"]))
)
NOTES = {str(i): {"index": str(i), "special_token": "<s>"} if i < 2 else {"index": str(i)} for i in range(3)}


@pytest.mark.parametrize(
    ("answer", "token"),
    [("<s>A", "<s>"), (" <|im|>", "<|im|>"), ("<|im|>sA", "<|im|>s"), ("A<s>", None), ("", None), ({"a": 1}, None)],
)
def test_a_special_token_is_found_at_the_start_of_an_answer_only(answer: object, token: str | None) -> None:
    assert special_tokens.describe_answer(answer, TOKENS).get(special_tokens.FIELD) == token


def test_a_model_without_a_tokenizer_has_no_special_tokens() -> None:
    assert special_tokens.list_tokens(SimpleNamespace()) == ()


def test_the_first_such_answer_of_a_cell_is_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(special_tokens, "_warned", set())
    for cell in ("POPE", "POPE", "MMStar"):
        special_tokens.warn_once(cell, NOTES["1"])
    special_tokens.warn_once("OCRBench", NOTES["2"])

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("SPECIAL TOKEN sample 1: its answer begins with '<s>'") for line in lines)


def test_a_cell_s_such_answers_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    special_tokens.print_counts("m x POPE", NOTES)

    assert special_tokens.count(NOTES) == {"<s>": ["0", "1"]}
    assert "SPECIAL TOKEN m x POPE: 2 of 3 answers begin with '<s>'" in capsys.readouterr().err
