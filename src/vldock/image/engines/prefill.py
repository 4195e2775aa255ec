"""Rows read into keys and values: images looked at once, and a beginning that several rows share read once.

POPE asks up to 18 questions about an image, and their prompts begin alike up to the end of the image, which is most of
a prompt: that head is read once, and its keys and values are what each question goes on from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from vldock.image.answering.types import COMPUTED
from vldock.image.engines.byte_lru import ByteStore
from vldock.image.engines.inputs import InputProcessor
from vldock.image.engines.kv_cache import KvSlice
from vldock.image.engines.language_model import LanguageModel, Segment
from vldock.image.engines.memory_features import VisionEncoder
from vldock.image.engines.sequence import ImageFile, TokenSequence
from vldock.image.vlmeval_hooks.provenance.sample_notes import IMAGE_TOKEN

Head = tuple[int | str, ...]


class Prefill:
    """Reads rows with one model; `heads` keeps the keys and values of shared beginnings."""

    def __init__(
        self, language: LanguageModel, eye: VisionEncoder, desk: InputProcessor, *, heads: ByteStore[KvSlice]
    ) -> None:
        self._language, self._eye, self._desk, self._heads = language, eye, desk, heads

    def read(
        self, rows: Sequence[TokenSequence], *, others: Sequence[TokenSequence]
    ) -> tuple[torch.Tensor, list[KvSlice]]:
        """Return the logits [rows, vocabulary] after each row's prompt, and each row as a piece of a cache.

        `others` are rows that wait: a beginning one of them shares is kept for it.
        """
        shares = Counter(row.head for row in (*rows, *others))
        shared = [row for row in rows if row.head and (shares[row.head] > 1 or row.head in self._heads)]
        heads = self._read_heads(shared)
        groups = [[row for row in rows if row not in shared], shared]
        logits: dict[TokenSequence, torch.Tensor] = {}
        pieces: dict[TokenSequence, KvSlice] = {}
        for group in (group for group in groups if group):
            segments = [self._segment(row, heads) for row in group]
            found, made = self._language.read(segments)
            logits |= zip(group, found, strict=True)
            pieces |= zip(group, made, strict=True)
        return torch.stack([logits[row] for row in rows]), [pieces[row] for row in rows]

    @property
    def holds(self) -> bool:
        """Tell whether any beginning is kept."""
        return len(self._heads) > 0

    def forget(self) -> None:
        """Give back the memory of what is kept."""
        self._heads.clear()

    def _read_heads(self, rows: Sequence[TokenSequence]) -> dict[Head, KvSlice]:
        found, missing = dict[Head, KvSlice](), dict[Head, TokenSequence]()
        for row in rows:
            if row.head is None:
                continue
            held = self._heads.get(row.head)
            if held is None:
                missing.setdefault(row.head, row)
            else:
                found[row.head] = held
        if missing:
            features = self._features(list(missing.values()))
            segments = [Segment(self._embeds(row, features)[: row.head_length]) for row in missing.values()]
            _, pieces = self._language.read(segments)
            for head, piece in zip(missing, pieces, strict=True):
                found[head] = alone = piece.copied()
                self._heads.put(head, alone, alone.cache.bytes)
        return found

    def _segment(self, row: TokenSequence, heads: dict[Head, KvSlice]) -> Segment:
        past = heads.get(row.head) if row.head else None
        if past is None:
            return Segment(self._embeds(row, self._features([row])))
        rest = self._language.embed(row.tokens[row.head_tokens :])
        return Segment(rest[: row.length - row.head_length], past)

    def _features(self, rows: Sequence[TokenSequence]) -> dict[str, torch.Tensor]:
        """Return {image: features} of all images of the rows; those not known are looked at in one batch."""
        images = dict[str, tuple[ImageFile, TokenSequence]]()
        for row in rows:
            for image in row.images:
                images.setdefault(image.sha256, (image, row))
        found, missing = dict[str, torch.Tensor](), list[ImageFile]()
        for sha256, (image, row) in images.items():
            recalled = self._eye.recall(sha256)
            if recalled is None:
                missing.append(image)
            else:
                found[sha256] = recalled[0]
            row.seen[recalled[1] if recalled else COMPUTED] += 1
        if missing:
            names, pixels = [image.sha256 for image in missing], [self._desk.pixels(image) for image in missing]
            found |= zip(names, self._eye.look(names, pixels, dataset=rows[0].question.dataset), strict=True)
        self._desk.seen(image for image, _ in images.values())
        return found

    def _embeds(self, row: TokenSequence, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return a prompt as embeddings [positions, width], cut as llava_arch.py cuts it."""
        images, parts, text = iter(row.images), list[torch.Tensor](), list[int]()
        for token in (*row.tokens, None):
            if token is not None and token != IMAGE_TOKEN:
                text.append(token)
                continue
            if text:
                parts.append(self._language.embed(text))
                text = []
            if token == IMAGE_TOKEN:
                parts.append(self._language.project(features[next(images).sha256]))
        return torch.cat(parts)[: row.length]
