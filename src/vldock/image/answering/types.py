"""Questions, answers and the engine protocol.

Standard library only, for clients without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

HELD, READ, COMPUTED = "held", "read", "computed"  # source of an image's features: memory, disk, tower


@dataclass(frozen=True)
class Question:
    """One sample: index, VLMEvalKit's message (a list of {type, value}), benchmark."""

    index: Any
    message: list[dict[str, Any]]
    dataset: str


@dataclass(frozen=True)
class Answer:
    """Answer to a question: its text and its note.

    The note belongs to the cell's prompts file (vlmeval_hooks/provenance/sample_notes.py).
    `more`: the next answer is of the same batch and follows at once.
    """

    index: Any
    text: str
    note: dict[str, Any]
    more: bool = False


class AnswersQuestions(Protocol):
    """Protocol of an inference engine."""

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """Yield an answer for each question, as soon as computed.

        The order is arbitrary.
        """
