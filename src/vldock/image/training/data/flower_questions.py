"""Questions about a flower's picture, with verifiable answers.

name     which flower is it, answered by its name
choice   the same among `choices` names in alphabetical order, answered by a letter; worded as VLMEvalKit's LLaVA
         wrapper words a multiple choice, so that run.py asks exactly what was trained
yes-no   is it this flower: half of them it is
"""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

from vldock.image.training.data.conversations import IMAGE, ConversationTurn
from vldock.image.training.data.images import Picture
from vldock.image.training.data.records import Record

KINDS = ("name", "choice", "yes-no")
BRIEF = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
YES_NO = "Please answer yes or no."
WORDINGS = ("Which flower is this?", "What is the name of this flower?", "What flower is in the picture?")
CHOICE = WORDINGS[0]


@dataclass(frozen=True)
class Flower:
    """Image and name of a flower.

    `row` counts from 1 in its data set.
    """

    row: int
    id: str
    picture: Picture
    name: str


@dataclass(frozen=True)
class ChoiceOptions:
    """Options of a multiple choice, and the right letter.

    The options are in order.
    """

    options: tuple[str, ...]
    letter: str


def records(
    flowers: Sequence[Flower], *, kinds: Sequence[str], names: Sequence[str], choices: int, seed: int
) -> list[Record]:
    """Return one record of each kind for every flower, drawn by `seed`."""
    return [_record(flower, kind, names, choices, seed) for flower in flowers for kind in kinds]


def choice_of(flower: Flower, names: Sequence[str], choices: int, seed: int) -> ChoiceOptions:
    """Return a flower's multiple choice: its name and others drawn by `seed`.

    Options are in alphabetical order.
    """
    rest = sorted(set(names) - {flower.name})
    drawn = random.Random(f"{seed}:{flower.id}:choice").sample(rest, min(choices - 1, len(rest)))
    options = tuple(sorted([flower.name, *drawn]))
    return ChoiceOptions(options, string.ascii_uppercase[options.index(flower.name)])


def choice_text(options: Sequence[str]) -> str:
    """Return the question in the wrapper's wording."""
    lines = [f"{letter}. {option}" for letter, option in zip(string.ascii_uppercase, options, strict=False)]
    return "\n".join([CHOICE, *lines, LETTER])


def _record(flower: Flower, kind: str, names: Sequence[str], choices: int, seed: int) -> Record:
    draw = random.Random(f"{seed}:{flower.id}:{kind}")
    if kind == "choice":
        choice = choice_of(flower, names, choices, seed)
        question, answer = choice_text(choice.options), choice.letter
    elif kind == "yes-no":
        others = sorted(set(names) - {flower.name})
        asked = flower.name if draw.random() < 0.5 or not others else draw.choice(others)
        question, answer = f"Is this flower a {asked}?\n{YES_NO}", "yes" if asked == flower.name else "no"
    else:
        question, answer = f"{draw.choice(WORDINGS)}\n{BRIEF}", flower.name
    turns = (ConversationTurn("human", f"{IMAGE}\n{question}"), ConversationTurn("gpt", answer))
    return Record(flower.row, f"{flower.id}#{kind}", (flower.picture,), turns, flower.name)
