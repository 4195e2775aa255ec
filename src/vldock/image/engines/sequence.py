"""One question in the batched engine: prompt tokens, images, answer so far."""

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
    """An image by path and sha256 of its content."""

    path: str
    sha256: str


@dataclass(eq=False)
class TokenSequence:
    """A question as tokens, and the tokens answered so far.

    `tokens`: IMAGE_TOKEN is the placeholder of an image of `patches` positions.
    `lookups`: its image features by source (HELD, READ, COMPUTED of answering.types).
    `limit`: positions after which the prompt is truncated, as llava_arch.py does; None: never.
    """

    question: Question
    tokens: tuple[int, ...]
    images: tuple[ImageFile, ...]
    patches: int
    limit: int | None
    note: dict[str, Any]
    criterion: Any
    answer: list[int] = field(default_factory=list)
    lookups: Counter[str] = field(default_factory=Counter)
    batch: int = 0

    @property
    def mismatched(self) -> bool:
        """Whether images and placeholders differ in number.

        VLMEvalKit's own loop answers such a row.
        """
        return self.tokens.count(IMAGE_TOKEN) != len(self.images)

    @cached_property
    def length(self) -> int:
        """Return the prompt's positions, after truncation."""
        whole = len(self.tokens) + len(self.images) * (self.patches - 1)
        return whole if self.limit is None else min(whole, self.limit)

    @cached_property
    def prefix_tokens(self) -> int:
        """Return the number of tokens through the last image.

        0 without an image.
        """
        return max((i + 1 for i, token in enumerate(self.tokens) if token == IMAGE_TOKEN), default=0)

    @cached_property
    def prefix(self) -> tuple[int | str, ...] | None:
        """Return the tokens through the last image.

        Images are given by sha256; None where nothing follows the last image.
        Rows with equal prefixes have equal keys and values there.
        """
        if self.mismatched or not self.images or self.prefix_length >= self.length:
            return None
        contents: Iterator[ImageFile] = iter(self.images)
        return tuple(
            next(contents).sha256 if token == IMAGE_TOKEN else token for token in self.tokens[: self.prefix_tokens]
        )

    @property
    def prefix_length(self) -> int:
        """Return the positions of the prefix, before truncation."""
        return self.prefix_tokens + len(self.images) * (self.patches - 1)

    @property
    def position(self) -> int:
        """Return the number of positions before the token answered last."""
        return self.length + len(self.answer) - 1

    def reset(self) -> None:
        """Discard the answer so far."""
        self.answer.clear()
        self.batch = 0

    def to_answer(self, text: str) -> Answer:
        """Return the answer, with the note for the cell's prompts file."""
        note = {**self.note, "answer": list(self.answer), "batch": self.batch}
        if "features" in note:  # of a run with the feature cache
            note["features"] = {**note["features"], **self.lookups}
        return Answer(self.question.index, text, note)
