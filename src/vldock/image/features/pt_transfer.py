"""Copies between the cache and the .pt form of other caches.

A copy that was stopped is continued by the same command: what is there is left as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import InputRefused, UsageError, VldockError
from vldock.image.features import imported, shards
from vldock.image.features.cache import FeatureCache
from vldock.image.features.lookup import index_rows
from vldock.image.features.picture_rows import ImageRow, sha256_of
from vldock.image.features.pt_files import PtCache, as_tokens, list_files, read_tensor
from vldock.image.features.space import Entry, Space
from vldock.image.features.towers import space_of

Progress = Callable[[dict[str, Any]], None]
Place = tuple[str | None, str, int]  # prompt, data set, row


@dataclass
class TransferResult:
    """Outcome of a copy: rows asked for, copied, there before, absent, refused; bytes copied."""

    rows: int
    copied: int = 0
    kept: int = 0
    missing: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    size: int = 0


def choose_space(root: Path, *, digest: str = "", dataset: str | None = None) -> Space:
    """Return the one space of a cache with such a digest and data set.

    Raises UsageError, naming them, for several, InputRefused for none.
    """
    found: dict[Space, int] = {}
    for shard in shards.read_headers(root):
        if shard.space.digest.startswith(digest) and dataset in (None, shard.dataset):
            found[shard.space] = found.get(shard.space, 0) + len(shard.rows)
    if not found:
        raise InputRefused(
            f"{root} has no such features", expected="rows of a build", hint="python -m vldock.image features ls"
        )
    if len(found) > 1:
        lines = [
            f"\n  --space {one.short}: {rows} rows, {one.tower[:40]}, {one.layer}, {one.dtype}"
            for one, rows in found.items()
        ]
        raise UsageError(f"{root} has features of {len(found)} kinds:{''.join(lines)}", expected="one of them")
    return next(iter(found))


def export_rows(
    cache: FeatureCache, target: PtCache, *, rows: Sequence[ImageRow] | None = None, dataset: str | None = None,
    limit: int | None = None, dry_run: bool = False, on_progress: Progress = lambda progress: None,
) -> TransferResult:  # fmt: skip
    """Copy a cache's features to .pt files; nothing there is overwritten.

    `rows` names them, so that an image that stands twice gets two files; None copies all of `dataset`, or of the cache.
    Raises InputRefused where two prompts share a folder's name, UsageError where the copies exceed `limit` bytes.
    """
    keys = _keys_of(rows, cache) if rows is not None else _stored(cache, dataset)
    _refuse_shared_folders(target, {prompt for prompt, _, _ in keys})
    result, begun = TransferResult(len(keys)), time.monotonic()
    for (prompt, name, index), key in keys.items():
        tensor = cache.get(key)
        if tensor is None:
            result.missing.append(f"{name} row {index}")
            continue
        place: dict[str, Any] = {"prompt": prompt, "dataset": name, "index": index}
        size = tensor.numel() * 2
        first = not result.copied + result.kept
        _hold_limit(limit, size * len(keys) if first else result.size + size, len(keys))
        try:
            new = target.write(tensor, **place, dry_run=dry_run)
        except InputRefused as error:
            result.faults.append(error.message)
            continue
        result.copied, result.kept, result.size = result.copied + new, result.kept + (not new), result.size + new * size
        _report_progress(on_progress, result, begun)
    return result


def import_rows(
    source: PtCache, rows: Sequence[ImageRow], *, cache: FeatureCache, dry_run: bool = False,
    on_progress: Progress = lambda progress: None,
) -> TransferResult:  # fmt: skip
    """Copy .pt files of `rows` into the cache: finite, of one width, a prompt's of one shape.

    A file that is not so is a fault, and the others are copied. Raises UsageError where the cache's limit is too small.
    """
    result, begun = TransferResult(len(rows)), time.monotonic()
    shapes: dict[str | None, torch.Size] = {}
    for row in rows:
        path = source.find(prompt=row.prompt, dataset=row.dataset, index=row.vlm_idx)
        if path is None:
            result.missing.append(f"{row.dataset} row {row.vlm_idx}")
            continue
        try:
            tensor = as_tokens(read_tensor(path))
            _same_shape(shapes, row.prompt, tensor, path)
            entry = Entry(row.dataset, row.vlm_idx, sha256_of(row.path.read_bytes()), row.prompt)
            _hold_limit(cache.limit, tensor.numel() * 2 * len(rows), len(rows))
            new = _put(cache, entry, tensor, path, dry_run)
        except (OSError, InputRefused) as error:
            result.faults.append(error.message if isinstance(error, VldockError) else f"{row.path}: {error.strerror}")
            continue
        size = tensor.numel() * 2
        result.copied, result.kept, result.size = result.copied + new, result.kept + (not new), result.size + new * size
        _report_progress(on_progress, result, begun)
    cache.flush()
    return result


def imported_space(model_name: str) -> Space:
    """Return the space of features imported under a model's name."""
    return space_of(*imported.open_imported(model_name, prompted=True))


def count_unused(source: PtCache, rows: Iterable[ImageRow]) -> int:
    """Return the number of files that no row names."""
    named = {source.find(prompt=row.prompt, dataset=row.dataset, index=row.vlm_idx) for row in rows}
    return sum(one.path not in named for one in list_files(source.root))


def _put(cache: FeatureCache, entry: Entry, tensor: torch.Tensor, path: Path, dry_run: bool) -> bool:
    """Store a tensor; return whether it is new. Raises InputRefused where the cache has another."""
    key = cache.space.key(entry.image, entry.prompt)
    there = cache.get(key) if key in cache else None
    if there is not None:
        if not torch.equal(there, tensor.to(there.dtype)):
            raise InputRefused(f"{path}: the cache has other features of this image, prompt and model name")
        return False
    if not dry_run:
        cache.put(entry, tensor)
    return True


def _keys_of(rows: Sequence[ImageRow], cache: FeatureCache) -> dict[Place, str]:
    found = {}
    for row in rows:
        try:
            image = sha256_of(row.path.read_bytes())
        except OSError as error:
            raise InputRefused(f"{row.dataset} row {row.vlm_idx}: {row.path}: {error.strerror}") from error
        found[row.prompt, row.dataset, row.vlm_idx] = cache.space.key(image, row.prompt)
    return found


def _stored(cache: FeatureCache, dataset: str | None) -> dict[Place, str]:
    return {place: key for place, key in index_rows(cache).items() if dataset in (None, place[1])}


def _refuse_shared_folders(target: PtCache, prompts: set[str | None]) -> None:
    taken: dict[Path, str | None] = {}
    for prompt in sorted(prompts, key=str):
        other = taken.setdefault(target.path_of(prompt, "a", 0).parent, prompt)
        if other != prompt:
            raise InputRefused(
                f"the prompts {other!r} and {prompt!r} have one folder, {target.path_of(prompt, 'a', 0).parent.name}",
                expected="a folder for each prompt",
                hint="--prompt-hash sha256:16",
            )


def _hold_limit(limit: int | None, needed: int, rows: int) -> None:
    if limit is not None and needed > limit:
        raise UsageError(
            f"{rows} rows take {needed / 1e9:.3g} GB and the limit is {limit / 1e9:.3g} GB",
            expected="a limit that holds them",
            hint=f"--limit {needed / 1e9 * 1.05:.3g}",
        )


def _same_shape(shapes: dict[str | None, torch.Size], prompt: str | None, tensor: torch.Tensor, path: Path) -> None:
    first = shapes.get(prompt, tensor.shape)
    width = next(iter(shapes.values()), first)[-1]
    if tensor.shape != first or tensor.shape[-1] != width:
        expected = f"{tuple(first)} of its prompt" if tensor.shape != first else f"a width of {width}"
        raise InputRefused(f"{path} has shape {tuple(tensor.shape)}, others have {expected}")
    shapes[prompt] = first


def _report_progress(on_progress: Progress, result: TransferResult, begun: float) -> None:
    done = result.copied + result.kept
    rate = done / max(time.monotonic() - begun, 1e-9)
    on_progress({"rank": 0, "rows": done, "of": result.rows, "computed": result.copied, "rate": rate})
