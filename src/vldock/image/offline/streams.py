"""Streams of cached data sets: datasets.IterableDataset, as from datasets.load_dataset(..., streaming=True)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vldock.common.errors import UsageError

SHARDS = 64  # at most: as many workers of a DataLoader can share one split


def of_rows(dataset: Any) -> Any:
    """Return a stream of prepared Arrow files, or one for each split."""
    if isinstance(dataset, Mapping):
        from datasets import IterableDatasetDict

        return IterableDatasetDict({split: of_rows(rows) for split, rows in dataset.items()})
    return dataset.to_iterable_dataset(num_shards=min(SHARDS, len(dataset)))


def of_builder(builder: Any, split: str | None, rows: Mapping[str, int] | None) -> Any:
    """Return a stream of a builder's own files, or one for each split.

    `rows` are the rows of each split, None where the files do not tell them: a slice is refused then.
    """
    from datasets import SplitDict, SplitInfo, concatenate_datasets

    if rows is not None:
        builder.info.splits = SplitDict(
            {name: SplitInfo(name=name, num_examples=count) for name, count in rows.items()}
        )
    streams = builder.as_streaming_dataset()
    if split is None:
        return streams
    parts = [part.strip() for part in (split if split != "all" else "+".join(streams)).split("+")]
    chosen = [streams[part] if part in streams else _slice(streams, part, rows) for part in parts]
    return chosen[0] if len(chosen) == 1 else concatenate_datasets(chosen)


def _slice(streams: Mapping[str, Any], part: str, rows: Mapping[str, int] | None) -> Any:
    from datasets import ReadInstruction

    if rows is None:
        name = part.split("[")[0]
        raise UsageError(
            f'split="{part}" of a stream: these files do not tell how many rows they hold',
            expected=f"a whole split: {', '.join(streams)}",
            hint=f'load_dataset(..., split="{name}", streaming=True).skip(10).take(100), or streaming=False',
        )
    (found,) = ReadInstruction.from_spec(part).to_absolute(dict(rows))
    return streams[found.splitname].skip(found.from_).take(found.to - found.from_)
