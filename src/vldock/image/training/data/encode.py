"""Encoding of records: token ids, masked labels, image tensors and sizes.

Prompts are worded by llava.conversation and images made by llava.mm_utils.process_images with the model's own config,
so training and inference cannot differ. Source of the masking rule: llava/train/train.py, which loses a whole sample
without an error where its token counts disagree; here a prompt must be a prefix of the whole, or its record is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from llava.constants import IGNORE_INDEX, IMAGE_TOKEN_INDEX
from llava.mm_utils import process_images, tokenizer_image_token

from vldock.common.errors import InputRefused
from vldock.image.llava_hooks import wording
from vldock.image.training.data import images as training_images
from vldock.image.training.data.conversations import ConversationTurn
from vldock.image.training.data.records import Record

if TYPE_CHECKING:
    from vldock.image.training.model.cached_tower import CachedTower


@dataclass(frozen=True)
class Encoded:
    """Encoded record.

    ids and labels (length,), images each (3, side, side) or (tiles, 3, side, side), sizes (w, h).
    """

    ids: torch.Tensor
    labels: torch.Tensor
    images: tuple[torch.Tensor, ...]
    sizes: tuple[tuple[int, int], ...]


def conversation_text(turns: Sequence[ConversationTurn], template: str, *, answered: bool, images: bool = True) -> str:
    """Return the conversation as one text.

    With `answered` False it ends where the last answer would begin.
    """
    said: list[tuple[str, str | None]] = [(turn.role, turn.text) for turn in turns]
    return wording.render_conversation(said if answered else [*said[:-1], ("gpt", None)], template, images=images)


def _tokens(
    turns: Sequence[ConversationTurn], tokenizer: Any, template: str, *, answered: bool = True, images: bool = True
) -> list[int]:
    text = conversation_text(turns, template, answered=answered, images=images)
    found: list[int] = tokenizer_image_token(text, tokenizer) if images else tokenizer(text).input_ids
    return found


def encode_text(
    turns: Sequence[ConversationTurn], tokenizer: Any, template: str, *, images: bool = True
) -> tuple[list[int], list[int]]:
    """Return (ids, labels).

    Labels are IGNORE_INDEX outside the answers; each answer has the token that ends it.

    Without `images`, <image> is text like any other, as it is to LLaVA's train.py in a row without an image.

    Raises InputRefused where a prompt's tokens are not the beginning of the whole conversation's.
    """
    ids = _tokens(turns, tokenizer, template, images=images)
    labels = [IGNORE_INDEX] * len(ids)
    for end in range(2, len(turns) + 1, 2):
        prompt = _tokens(turns[:end], tokenizer, template, answered=False, images=images)
        whole = _tokens(turns[:end], tokenizer, template, images=images)
        if ids[: len(whole)] != whole or whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            raise InputRefused(
                f"the tokens of the question {turns[end - 2].text[:60]!r} change when its answer follows",
                expected="a prompt that is a prefix of the conversation, or its labels would be shifted",
                hint="remove blanks at the ends of questions and answers",
            )
        labels[len(prompt) : len(whole)] = whole[len(prompt) :]
    return ids, labels


class Encoder:
    """Encoder of records for one model.

    It has the model's tokenizer, image processor and config; with `cached`, features replace pixels.
    """

    def __init__(
        self,
        tokenizer: Any,
        processor: Any,
        config: Any,
        *,
        accept: Collection[str] = (),
        cached: CachedTower | None = None,
    ) -> None:
        self.tokenizer, self.processor, self.config, self.accept = tokenizer, processor, config, accept
        self.cached = cached
        self.template = wording.template_of(config)

    def __call__(self, record: Record) -> Encoded:
        """Return an encoded record."""
        ids, labels = encode_text(record.turns, self.tokenizer, self.template, images=bool(record.pictures))
        images, sizes = self.images(record)
        return Encoded(torch.tensor(ids), torch.tensor(labels), images, sizes)

    def prompt(self, record: Record) -> Encoded:
        """Return the encoded prompt of a record's first question; labels are empty."""
        asked = _tokens(record.turns[:2], self.tokenizer, self.template, answered=False, images=bool(record.pictures))
        ids = torch.tensor(asked)
        images, sizes = self.images(record)
        return Encoded(ids, torch.empty(0, dtype=torch.long), images, sizes)

    def images(self, record: Record) -> tuple[tuple[torch.Tensor, ...], tuple[tuple[int, int], ...]]:
        """Return image tensors in float32, and sizes.

        A record without images gets one of zeros, which no token refers to.

        Where the tower's features are cached the tensors are these: (tiles, 1, tokens, width), or (1, tokens, width).
        """
        if self.cached is not None:
            return self.cached.images(record)
        if not record.pictures:
            side = self.processor.crop_size["height"]
            return (torch.zeros(3, side, side),), ((side, side),)
        opened = [training_images.read_rgb(picture, accept=self.accept) for picture in record.pictures]
        made = [process_images([image], self.processor, self.config)[0] for image in opened]
        return tuple(made), tuple(image.size for image in opened)


class Records(torch.utils.data.Dataset):  # type: ignore[misc]
    """Dataset of records, encoded on access.

    No image remains in memory.
    """

    def __init__(self, records: Sequence[Record], encoder: Encoder) -> None:
        self.records, self.encoder = records, encoder

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Encoded:
        return self.encoder(self.records[index])


def count_image_tokens(ids: torch.Tensor) -> int:
    """Return the number of images the tokens refer to."""
    return int((ids == IMAGE_TOKEN_INDEX).sum())
