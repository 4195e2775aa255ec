"""A question, its answer, and what an engine is: standard library only, so that a client without torch has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

HELD, READ, COMPUTED = "held", "read", "computed"  # where an image's features came from: memory, disk, the tower


@dataclass(frozen=True)
class Question:
    """One sample: its index, VLMEvalKit's message (a list of {type, value}), and the benchmark's name."""

    index: Any
    message: list[dict[str, Any]]
    dataset: str


@dataclass(frozen=True)
class Answer:
    """The text for a question, and the note that goes into the cell's prompts file (see vlmeval_hooks/notes.py).

    `more`: the next answer was found with it and follows at once.
    """

    index: Any
    text: str
    note: dict[str, Any]
    more: bool = False


class AnswersQuestions(Protocol):
    """An engine."""

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Yield an answer for each question, in any order, as they are found."""
