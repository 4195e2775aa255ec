"""Comparison of two prediction files of one cell, by answer and by token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NOTES = "_prompts.jsonl"


@dataclass(frozen=True)
class Predictions:
    """One prediction file: {index: answer}, and {index: token ids} where noted."""

    path: Path
    answers: Mapping[str, str]
    tokens: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Difference:
    """One sample answered differently.

    `token` is the first position at which the tokens differ, where both are known.
    """

    index: str
    first: str
    second: str
    token: int | None


@dataclass(frozen=True)
class Equality:
    """Comparison of two prediction files.

    `tokens` counts positions of samples noted on both sides. A token that only one side has, because its answer is
    longer, differs.
    """

    name: str
    samples: int
    answers: int
    noted: int
    tokens: int
    differing_tokens: int
    only_first: int
    only_second: int
    example: Difference | None

    @property
    def equal(self) -> bool:
        """Whether samples, answers and tokens are the same."""
        return not (self.answers or self.differing_tokens or self.only_first or self.only_second)

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for --json."""
        return {**asdict(self), "equal": self.equal}


def load_predictions(path: Path, answers: Mapping[str, str]) -> Predictions:
    """Return the answers read from `path` with the notes that lie beside it."""
    return Predictions(path, answers, read_tokens(path.with_name(f"{path.stem}{NOTES}")))


def read_tokens(path: Path) -> dict[str, tuple[int, ...]]:
    """Return {sample: token ids} of the last note of each sample.

    A line torn by a kill is left out.
    """
    found: dict[str, tuple[int, ...]] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            note = json.loads(line)
            found[str(note["index"])] = tuple(int(token) for token in note["answer"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def compare_answers(name: str, one: Predictions, two: Predictions) -> Equality:
    """Compare two prediction files on the samples they share."""
    shared = [index for index in one.answers if index in two.answers]
    noted = [index for index in shared if index in one.tokens and index in two.tokens]
    wrong = {index: _wrong(one.tokens[index], two.tokens[index]) for index in noted}
    texts = [index for index in shared if one.answers[index] != two.answers[index]]
    changed = sorted({*texts, *(index for index in noted if wrong[index])}, key=shared.index)
    example = None
    if changed:
        index = changed[0]
        at = wrong[index][0] if wrong.get(index) else None
        example = Difference(index, one.answers[index], two.answers[index], at)
    return Equality(
        name=name,
        samples=len(shared),
        answers=len(texts),
        noted=len(noted),
        tokens=sum(max(len(one.tokens[index]), len(two.tokens[index])) for index in noted),
        differing_tokens=sum(len(places) for places in wrong.values()),
        only_first=len(one.answers) - len(shared),
        only_second=len(two.answers) - len(shared),
        example=example,
    )


def _wrong(one: tuple[int, ...], two: tuple[int, ...]) -> list[int]:
    """Return the positions of differences between two answers.

    Beyond the end of the shorter one, all do.
    """
    longest = max(len(one), len(two))
    return [i for i in range(longest) if one[i : i + 1] != two[i : i + 1]]
