"""A torch DataLoader over a data set, and the batches read from it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from vldock.common.errors import InputRefused


def train_split(dataset: Any) -> tuple[str, Any]:
    """Return the name and the rows of the split to train on: train, or the first."""
    if not isinstance(dataset, Mapping):
        return str(dataset.split or "data"), dataset
    name = "train" if "train" in dataset else next(iter(dataset))
    return str(name), dataset[name]


def read_batches(rows: Any, *, size: int, count: int, split: str) -> tuple[str, list[str]]:
    """Read the first batches of a train loader, decoded as training gets them.

    Returns how many batches the loader has, and lines about those read. Raises InputRefused where there is none.
    """
    from torch.utils.data import DataLoader

    loader = DataLoader(rows, batch_size=size, collate_fn=list)
    read = [len(batch) for batch in itertools.islice(loader, count)]
    if not read:
        raise InputRefused(f"split {split} has no rows", expected="rows to train on")
    total = length(rows)
    said = "streamed batches" if total is None else f"{math.ceil(total / size)} batches"
    return said, [f"split {split}, batch size {size}: the first {len(read)} read, {sum(read)} rows"]


def length(rows: Any) -> int | None:
    """Return the number of rows; None for a stream whose files do not tell."""
    if hasattr(rows, "__len__"):
        return len(rows)
    known = rows.info.splits or {}
    return known[rows.split].num_examples if rows.split in known else None
