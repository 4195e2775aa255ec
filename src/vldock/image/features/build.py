"""Build of a data set's features, on one process or under torchrun.

    built = build(rows, vl_model=tower, processor=processor, cache_dir=default_root())

Each rank takes every world-th row. Cached rows are skipped, so the same command resumes a stopped build.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from vldock.common.errors import InputRefused, UsageError, list_first
from vldock.image.features import evict, torchrun_store
from vldock.image.features.cache import ROWS, Counts, FeatureCache
from vldock.image.features.picture_loader import LoaderOptions, PixelDataset, Pixels, read
from vldock.image.features.picture_rows import BrokenRow, ImageRow
from vldock.image.features.processor import Processor
from vldock.image.features.prompt_features import PromptedModel
from vldock.image.features.space import Space
from vldock.image.features.towers import VisionModel, space_of

BROKEN_SHOWN = 20  # broken rows named in an error
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class BuildResult:
    """Outcome of a build over all ranks.

    Rows requested, computed, cached before, broken, not stored; seconds in all; the space.
    """

    rows: int
    computed: int
    kept: int
    broken: tuple[str, ...]
    refused: int
    seconds: float
    space: Space

    @property
    def rate(self) -> float:
        """Pictures computed per second."""
        return self.computed / self.seconds if self.seconds else 0.0


def build(
    rows: Sequence[ImageRow],
    *,
    vl_model: VisionModel | PromptedModel,
    processor: Processor,
    cache_dir: Path,
    dtype: str = "float16",
    limit: int | None = None,
    loader: LoaderOptions = LoaderOptions(),  # noqa: B008 - frozen
    broken: Literal["refuse", "skip"] = "refuse",
    rows_per_shard: int = ROWS,
    on_progress: Progress = lambda progress: None,
) -> BuildResult:
    """Compute and store the missing features of `rows`.

    `broken="refuse"` decodes every picture first and computes nothing where one cannot be read.
    Raises InputRefused with the broken rows, UsageError for a row without the prompt its model needs and where `limit`
    bytes cannot hold the data set, EnvironmentUnfit where the disk cannot be written.
    """
    begun = time.monotonic()
    rank, world = torchrun_store.rank_and_world()
    bare = next((row for row in rows if row.prompt is None), None)
    if isinstance(vl_model, PromptedModel) and bare is not None:
        raise UsageError(
            f"row {bare.vlm_idx} ({bare.path}) has no prompt", expected="one for each: they decide features"
        )
    space = space_of(vl_model, processor, dtype)
    mine = rows[rank::world]
    if not rank:
        cache_dir.mkdir(parents=True, exist_ok=True)
        evict.sweep(cache_dir)
    torchrun_store.wait()
    with FeatureCache(cache_dir, space, limit=limit, rows=rows_per_shard) as cache:
        if broken == "refuse":
            _refuse(PixelDataset(mine, space=space, processor=None, cached=cache), loader)
        done, faults = _compute(mine, cache, vl_model, processor, loader, total=len(rows), on_progress=on_progress)
        cache.flush()
        counts = cache.counts
    return _summed(len(rows), done, counts, faults, begun, space)


def _refuse(pictures: PixelDataset, loader: LoaderOptions) -> None:
    """Raise InputRefused, in every rank, with the broken rows of all ranks."""
    found = [one for batch in read(pictures, loader) for one in batch if isinstance(one, BrokenRow)]
    every = sorted((one for part in torchrun_store.gather(found) for one in part), key=lambda one: one.row.vlm_idx)
    if every:
        raise InputRefused(
            f"{len(every)} pictures cannot be read:{list_first(every, BROKEN_SHOWN)}",
            expected="pictures Pillow can open; nothing was computed",
            hint="mend or remove those rows, or leave them out with --broken skip",
        )


def _compute(
    mine: Sequence[ImageRow], cache: FeatureCache, vl_model: VisionModel | PromptedModel, processor: Processor,
    loader: LoaderOptions, *, total: int, on_progress: Progress,
) -> tuple[int, list[BrokenRow]]:  # fmt: skip
    """Encode and store this rank's rows; return (computed, broken rows)."""
    begun, computed, seen = time.monotonic(), 0, 0
    faults: list[BrokenRow] = []
    pictures = PixelDataset(mine, space=cache.space, processor=processor, cached=cache)
    for batch in read(pictures, loader):
        faults += [one for one in batch if isinstance(one, BrokenRow)]
        fresh = [one for one in batch if isinstance(one, Pixels) and one.pixels is not None]
        prompts = [one.entry.prompt for one in fresh]
        for one, features in zip(fresh, encode([one.pixels for one in fresh], vl_model, prompts), strict=True):
            if not computed:
                _fits(cache, features, total)
            cache.put(one.entry, features)
            computed += 1
        seen += len(batch)
        rate = computed / max(time.monotonic() - begun, 1e-9)
        on_progress(
            {
                "rank": torchrun_store.rank_and_world()[0],
                "rows": seen,
                "of": len(mine),
                "computed": computed,
                "rate": rate,
            }
        )
    return computed, faults


def encode(
    pixels: Sequence[torch.Tensor | None], vl_model: VisionModel | PromptedModel, prompts: Sequence[str | None] = ()
) -> list[torch.Tensor]:
    """Return the features of pictures: each (tokens, width) or (crops, tokens, width).

    Computed in one batch, or where `prompts` decide them one by one.
    """
    if isinstance(vl_model, PromptedModel):
        asked = [(one, prompt) for one, prompt in zip(pixels, prompts, strict=True) if one is not None]
        return [vl_model.encode_prompted(one, prompt or "") for one, prompt in asked]
    given = [one for one in pixels if one is not None]
    if not given:
        return []
    flat = [one if one.dim() == 4 else one[None] for one in given]
    parts = vl_model.encode(torch.cat(flat)).split([len(one) for one in flat])
    return [part if one.dim() == 4 else part[0] for one, part in zip(given, parts, strict=True)]


def _fits(cache: FeatureCache, features: torch.Tensor, rows: int) -> None:
    """Raise UsageError where the limit is below the size of all rows.

    The cache would evict its own beginning.
    """
    needed = rows * features.numel() * getattr(torch, cache.space.dtype).itemsize
    if cache.limit is not None and needed > cache.limit:
        raise UsageError(
            f"{rows} rows take {needed / 1e9:.3g} GB and the limit is {cache.limit / 1e9:.3g} GB",
            expected="a limit that holds the data set",
            hint=f"--limit {needed / 1e9 * 1.05:.3g}",
        )


def _summed(rows: int, done: int, counts: Counts, faults: list[BrokenRow], begun: float, space: Space) -> BuildResult:
    parts = torchrun_store.gather((done, [str(one) for one in faults], counts.refused))
    computed, refused = sum(part[0] for part in parts), sum(part[2] for part in parts)
    broken = tuple(sorted(one for part in parts for one in part[1]))
    seconds = time.monotonic() - begun
    return BuildResult(rows, computed, rows - computed - len(broken), broken, refused, seconds, space)
