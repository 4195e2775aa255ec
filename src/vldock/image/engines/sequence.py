"""One question on its way through the batched engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vldock.image.answering.types import Answer, Question
from vldock.image.vlmeval_hooks.provenance.sample_notes import IMAGE_TOKEN


@dataclass(frozen=True)
class ImageFile:
    """An image by its path and its content."""

    path: str
    sha256: str


@dataclass(eq=False)
class TokenSequence:
    """A question as tokens (IMAGE_TOKEN stands for an image of `patches` positions), and the tokens answered so far.

    `seen`: how many images' features were looked up for it, by where they were (features.py).
    `limit`: after how many positions the prompt is cut, as llava_arch.py does; None: it is not.
    """

    question: Question
    tokens: tuple[int, ...]
    images: tuple[ImageFile, ...]
    patches: int
    limit: int | None
    note: dict[str, Any]
    criterion: Any
    answer: list[int] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    batch: int = 0

    @property
    def odd(self) -> bool:
        """Whether images and their places in the prompt do not match: VLMEvalKit's own loop knows what to say."""
        return self.tokens.count(IMAGE_TOKEN) != len(self.images)

    @cached_property
    def length(self) -> int:
        """Return the positions the model reads, after the cut."""
        whole = len(self.tokens) + len(self.images) * (self.patches - 1)
        return whole if self.limit is None else min(whole, self.limit)

    @cached_property
    def head_tokens(self) -> int:
        """Return how many tokens there are up to and with the last image; 0 where the prompt has none."""
        return max((i + 1 for i, token in enumerate(self.tokens) if token == IMAGE_TOKEN), default=0)

    @cached_property
    def head(self) -> tuple[int | str, ...] | None:
        """Return the beginning up to and with the last image, images by content; None where nothing follows it.

        Rows with equal heads have equal keys and values there.
        """
        if self.odd or not self.images or self.head_length >= self.length:
            return None
        contents: Iterator[ImageFile] = iter(self.images)
        return tuple(
            next(contents).sha256 if token == IMAGE_TOKEN else token for token in self.tokens[: self.head_tokens]
        )

    @property
    def head_length(self) -> int:
        """Return the positions of the head, before any cut."""
        return self.head_tokens + len(self.images) * (self.patches - 1)

    @property
    def position(self) -> int:
        """Return how many positions come before the token that was answered last."""
        return self.length + len(self.answer) - 1

    def again(self) -> None:
        """Begin anew: what was answered so far is dropped."""
        self.answer.clear()
        self.batch = 0

    def finished(self, text: str) -> Answer:
        """Return the answer."""
        note = {**self.note, "answer": list(self.answer), "batch": self.batch}
        if "features" in note:  # of a run with the feature cache
            note["features"] = {**note["features"], **self.seen}
        return Answer(self.question.index, text, note)
