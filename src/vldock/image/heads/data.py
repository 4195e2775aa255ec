"""Data set of the heads: cached features, words, actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset

from vldock.common.errors import InputRefused
from vldock.image.features.cache import FeatureCache
from vldock.image.features.lookup import CachedPictures
from vldock.image.features.picture_rows import from_json
from vldock.image.heads.network import word_numbers
from vldock.image.heads.scenes import VOCABULARY


@dataclass(frozen=True)
class Batch:
    """Batch of features, words and actions.

    Features (B, tokens, width) as stored, words (B, 4) int64, actions (B, 3) float32.
    """

    features: torch.Tensor
    words: torch.Tensor
    actions: torch.Tensor


class Demonstrations(Dataset[tuple[torch.Tensor, list[int], list[float]]]):  # type: ignore[misc]
    """Dataset of a scenes file's rows.

    `compute` makes features that are not cached; None refuses such a row.
    """

    def __init__(self, path: Path, cache: FeatureCache, compute: Callable[[bytes], torch.Tensor] | None = None) -> None:
        self.pictures = CachedPictures(from_json(path, dataset=dataset_name(path)), cache, compute)
        rows = json.loads(path.read_text(encoding="utf-8"))
        try:
            self.words = [word_numbers(row["instruction"], VOCABULARY) for row in rows]
            self.actions = [[float(number) for number in row["action"]] for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise InputRefused(
                f"{path}: a row has no {error}", expected="rows with image, instruction, action"
            ) from error

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, list[int], list[float]]:
        return self.pictures[index].features, self.words[index], self.actions[index]


def dataset_name(path: Path) -> str:
    """Return the cached name of a scenes file: "scenes-train"."""
    return f"{path.parent.name}-{path.stem}"


def collate(rows: Sequence[tuple[torch.Tensor, list[int], list[float]]]) -> Batch:
    """Return the rows as one batch."""
    features, words, actions = zip(*rows, strict=True)
    return Batch(torch.stack(features), torch.tensor(words), torch.tensor(actions, dtype=torch.float32))
