"""What one stand-in sample is, and the short ways the benchmark modules build lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LETTERS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a benchmark.

    Attributes:
        pictures: names that `pictures.picture` knows; more than one only for BLINK.
        question: the question column.
        answer: what the model is trained to say: a letter, Yes or No, or words.
        options: texts of A, B, C ... in order; empty for questions without options.
        cells: further columns of this row; a key given here wins over what tsv.py would write (index, answer ...).
    """

    pictures: tuple[str, ...]
    question: str
    answer: str
    options: tuple[str, ...] = ()
    cells: Mapping[str, object] = field(default_factory=dict)


def choose(picture: str, question: str, options: Sequence[str], right: str, **cells: object) -> Sample:
    """A multiple-choice sample whose answer is the letter of `right`."""
    return Sample((picture,), question, LETTERS[list(options).index(right)], tuple(options), cells)


def choose_over(question: str, options: Sequence[str], rights: Mapping[str, str], **cells: object) -> list[Sample]:
    """The same question and options over several pictures: {picture: right option}."""
    return [choose(picture, question, options, right, **cells) for picture, right in rights.items()]


def ask_over(question: str, answers: Mapping[str, str], **cells: object) -> list[Sample]:
    """The same open question over several pictures: {picture: answer}."""
    return [Sample((picture,), question, answer, (), cells) for picture, answer in answers.items()]


def interleave(*groups: Sequence[Sample]) -> list[Sample]:
    """Take the groups' samples in turn, so that the first rows of a file already mix pictures and questions."""
    longest = max(map(len, groups))
    return [group[k] for k in range(longest) for group in groups if k < len(group)]
