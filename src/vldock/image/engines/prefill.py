"""Prefill of rows: each image encoded once, each shared prefix run once.

POPE asks up to 18 questions about an image, and their prompts are equal up to the end of the image, which is most of a
prompt: that prefix is run once, and each question continues from its keys and values.
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

Prefix = tuple[int | str, ...]


class Prefill:
    """Prefill for one model.

    `prefixes` caches the keys and values of shared prefixes.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        vision: VisionEncoder,
        inputs: InputProcessor,
        *,
        prefixes: ByteStore[KvSlice],
    ) -> None:
        self._language_model, self._vision, self._inputs, self._prefixes = language_model, vision, inputs, prefixes

    def run(
        self, rows: Sequence[TokenSequence], *, others: Sequence[TokenSequence]
    ) -> tuple[torch.Tensor, list[KvSlice]]:
        """Prefill rows; return logits [rows, vocabulary] and cache slices.

        The logits are those after each row's prompt; each row has one slice of a cache.
        `others` are waiting rows: a prefix one of them shares is cached for it.
        """
        shares = Counter(row.prefix for row in (*rows, *others))
        shared = [row for row in rows if row.prefix and (shares[row.prefix] > 1 or row.prefix in self._prefixes)]
        prefixes = self._read_prefixes(shared)
        groups = [[row for row in rows if row not in shared], shared]
        logits: dict[TokenSequence, torch.Tensor] = {}
        slices: dict[TokenSequence, KvSlice] = {}
        for group in (group for group in groups if group):
            segments = [self._segment(row, prefixes) for row in group]
            found, made = self._language_model.prefill(segments)
            logits |= zip(group, found, strict=True)
            slices |= zip(group, made, strict=True)
        return torch.stack([logits[row] for row in rows]), [slices[row] for row in rows]

    @property
    def holds_prefixes(self) -> bool:
        """Return whether any prefix is cached."""
        return len(self._prefixes) > 0

    def clear(self) -> None:
        """Free the cached prefixes."""
        self._prefixes.clear()

    def _read_prefixes(self, rows: Sequence[TokenSequence]) -> dict[Prefix, KvSlice]:
        found, missing = dict[Prefix, KvSlice](), dict[Prefix, TokenSequence]()
        for row in rows:
            if row.prefix is None:
                continue
            held = self._prefixes.get(row.prefix)
            if held is None:
                missing.setdefault(row.prefix, row)
            else:
                found[row.prefix] = held
        if missing:
            features = self._features(list(missing.values()))
            segments = [Segment(self._embeds(row, features)[: row.prefix_length]) for row in missing.values()]
            _, slices = self._language_model.prefill(segments)
            for prefix, item in zip(missing, slices, strict=True):
                found[prefix] = own = item.copy()
                self._prefixes.put(prefix, own, own.cache.bytes)
        return found

    def _segment(self, row: TokenSequence, prefixes: dict[Prefix, KvSlice]) -> Segment:
        past = prefixes.get(row.prefix) if row.prefix else None
        if past is None:
            return Segment(self._embeds(row, self._features([row])))
        rest = self._language_model.embed(row.tokens[row.prefix_tokens :])
        return Segment(rest[: row.length - row.prefix_length], past)

    def _features(self, rows: Sequence[TokenSequence]) -> dict[str, torch.Tensor]:
        """Return {sha256: features} of all images of the rows.

        Those not cached are encoded in one batch.
        """
        images = dict[str, tuple[ImageFile, TokenSequence]]()
        for row in rows:
            for image in row.images:
                images.setdefault(image.sha256, (image, row))
        found, missing = dict[str, torch.Tensor](), list[ImageFile]()
        for sha256, (image, row) in images.items():
            cached = self._vision.find(sha256)
            if cached is None:
                missing.append(image)
            else:
                found[sha256] = cached[0]
            row.lookups[cached[1] if cached else COMPUTED] += 1
        if missing:
            names, pixels = [image.sha256 for image in missing], [self._inputs.pixels(image) for image in missing]
            found |= zip(names, self._vision.encode(names, pixels, dataset=rows[0].question.dataset), strict=True)
        self._inputs.release(image for image, _ in images.values())
        return found

    def _embeds(self, row: TokenSequence, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return a prompt as embeddings [positions, width], cut as llava_arch.py cuts it."""
        images, parts, text = iter(row.images), list[torch.Tensor](), list[int]()
        for token in (*row.tokens, None):
            if token is not None and token != IMAGE_TOKEN:
                text.append(token)
                continue
            if text:
                parts.append(self._language_model.embed(text))
                text = []
            if token == IMAGE_TOKEN:
                parts.append(self._language_model.project(features[next(images).sha256]))
        return torch.cat(parts)[: row.length]
