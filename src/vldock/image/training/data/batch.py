"""Batches of encoded records: padded ids, labels, mask, images and their sizes.

anyres needs the sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from llava.constants import IGNORE_INDEX, IMAGE_TOKEN_INDEX

from vldock.image.training.data.encode import Encoded

Batch = dict[str, Any]


@dataclass(frozen=True)
class Collator:
    """Collates records into a batch.

    `anyres`: images remain a list of (tiles, 3, side, side), as llava_arch.py expects.
    """

    pad: int
    anyres: bool

    def __call__(self, items: Sequence[Encoded]) -> Batch:
        """Return a batch of padded tensors, images and image sizes.

        input_ids, labels, attention_mask: (batch, longest); images; image_sizes [(width, height), ...].

        LLaVA's own collator leaves image_sizes out: with anyres every image is then unpadded by a wrong size, or none.
        """
        longest = max(len(item.ids) for item in items)
        ids = torch.full((len(items), longest), self.pad, dtype=torch.long)
        labels = torch.full((len(items), longest), IGNORE_INDEX, dtype=torch.long)
        mask = torch.zeros((len(items), longest), dtype=torch.bool)
        for row, item in enumerate(items):
            ids[row, : len(item.ids)] = item.ids
            labels[row, : len(item.labels)] = item.labels
            mask[row, : len(item.ids)] = True
        images: Any = [image for item in items for image in item.images]
        if not self.anyres:
            images = torch.stack(images)
        sizes = [size for item in items for size in item.sizes]
        return {"input_ids": ids, "labels": labels, "attention_mask": mask, "images": images, "image_sizes": sizes}


def split_batch(batch: Mapping[str, Any], rows: int) -> list[tuple[Batch, float]]:
    """Split `batch` into parts of at most `rows` rows.

    Each part has its share of the labels.
    The loss is a mean over labels: the sum of loss times share over the parts is the loss of the whole.
    """
    ids, labels = batch["input_ids"], batch["labels"]
    images = [max(1, int(count)) for count in (ids == IMAGE_TOKEN_INDEX).sum(1)]
    starts = [sum(images[:row]) for row in range(len(images) + 1)]
    total = max(1, int((labels != IGNORE_INDEX).sum()))
    made = []
    for first in range(0, len(ids), rows):
        last = min(first + rows, len(ids))
        part = {name: batch[name][first:last] for name in ("input_ids", "labels", "attention_mask")}
        part |= {name: batch[name][starts[first] : starts[last]] for name in ("images", "image_sizes")}
        made.append((part, int((part["labels"] != IGNORE_INDEX).sum()) / total))
    return made
