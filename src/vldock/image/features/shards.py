"""Shard: a safetensors file with its own index in the header.

<root>/<prompt hash>/<data set>_vlm<first row>/<space>-<nonce>.safetensors
Its header holds the space, the prompt and, for each row, key, place and sha256. There is no other index: nothing can
disagree with the shards, a crash leaves either a whole file or a `.part`, and SQLite's journal need not work on NFS.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vldock.image.features import file_locks
from vldock.image.features.space import Entry, Space, prompt_hash

if TYPE_CHECKING:
    import torch

FORMAT = "vldock.features/1"
SUFFIX = ".safetensors"
UNFINISHED = ".part"
LONGEST_HEADER = 100_000_000  # as the safetensors library has it


class ShardDamaged(Exception):
    """Shard that contradicts its header, and why."""


@dataclass(frozen=True)
class ShardRow:
    """One tensor of a shard.

    Its key, its row, and the sha256 of the image and of the tensor's bytes.
    """

    key: str
    vlm_idx: int
    image: str
    sha256: str


@dataclass(frozen=True)
class Shard:
    """Header of a shard."""

    path: Path
    space: Space
    dataset: str
    prompt: str | None
    rows: tuple[ShardRow, ...]
    size: int
    written: float


def find_shards(root: Path, space: Space | None = None) -> Iterator[Path]:
    """Yield the finished shards below `root`, of `space` where it is given."""
    begin = space.short if space else ""
    yield from (path for path in _files(root) if path.name.endswith(SUFFIX) and path.name.startswith(begin))


def find_unfinished(root: Path) -> Iterator[Path]:
    """Yield unfinished files of the cache.

    Each is locked by a living writer, or was left by a dead one.
    """
    yield from (path for path in _files(root) if path.name.endswith(UNFINISHED))


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """Return a folder's entries, sorted; empty where an eviction removed it."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda one: one.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(root: Path) -> Iterator[Path]:
    for prompt in list_folder(root):
        for group in list_folder(Path(prompt.path)):
            if "_vlm" in group.name:
                yield from (Path(one.path) for one in list_folder(Path(group.path)))


def read_header(path: Path) -> Shard:
    """Return a shard's header without reading tensors.

    Raises ShardDamaged, FileNotFoundError.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(LONGEST_HEADER, size - 8):
            raise ShardDamaged(f"{size} bytes and a header of {length}")
        text = stream.read(length)
    try:
        header = json.loads(text)
        meta = header.pop("__metadata__")
        end = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
        found = _shard(path, meta, size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardDamaged(f"its header cannot be read: {error!r}") from error
    if size != 8 + length + end:
        raise ShardDamaged(f"{size} bytes, where its header tells {8 + length + end}")
    if set(header) != {row.key for row in found.rows}:
        raise ShardDamaged("its rows are not its tensors")
    return found


def read_headers(root: Path, space: Space | None = None) -> Iterator[Shard]:
    """Yield the headers below `root`, without damaged shards, which fsck reports, and evicted ones."""
    for path in sorted(find_shards(root, space)):
        with contextlib.suppress(FileNotFoundError, ShardDamaged):
            yield read_header(path)


def _shard(path: Path, meta: Mapping[str, str], size: int) -> Shard:
    if meta["format"] != FORMAT:
        raise ValueError(f"format {meta['format']!r}")
    space = Space(**json.loads(meta["space"]))
    rows = tuple(ShardRow(**row) for row in json.loads(meta["rows"]))
    prompt = json.loads(meta["prompt"])
    wrong = [row.key for row in rows if row.key != space.key(row.image, prompt)]
    if wrong:
        raise ValueError(f"key {wrong[0][:12]} is not that of its parts")
    return Shard(path, space, meta["dataset"], prompt, rows, size, float(meta["written"]))


def digest(tensor: torch.Tensor) -> str:
    """Return the sha256 of a tensor's bytes."""
    import torch

    return hashlib.sha256(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()).hexdigest()


def folder(root: Path, first: Entry) -> Path:
    """Return the folder of a shard with `first` as its first row."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", first.dataset).lstrip(".") or "unnamed"
    return root / prompt_hash(first.prompt) / f"{name}_vlm{first.vlm_idx}"


def serialise(space: Space, entries: Mapping[str, tuple[Entry, torch.Tensor]]) -> bytes:
    """Return the bytes of a shard.

    `entries` are {key: (entry, tensor on the CPU in the stored dtype)}.
    """
    from safetensors.torch import save

    first, _ = next(iter(entries.values()))
    rows = [ShardRow(key, entry.vlm_idx, entry.image, digest(tensor)) for key, (entry, tensor) in entries.items()]
    meta: dict[str, Any] = {"format": FORMAT, "dataset": first.dataset, "written": repr(time.time())}
    meta |= {"space": json.dumps(asdict(space)), "prompt": json.dumps(first.prompt)}
    meta |= {"rows": json.dumps([asdict(row) for row in rows])}
    content: bytes = save({key: tensor.contiguous() for key, (_, tensor) in entries.items()}, metadata=meta)
    return content


def begin(place: Path, space: Space, content: bytes) -> tuple[file_locks.Lease, Path]:
    """Write `content` to an unfinished file; return its lock and final name.

    It is synced to the disk. Raises OSError.
    """
    final = place / f"{space.short}-{secrets.token_hex(6)}{SUFFIX}"
    while True:
        place.mkdir(parents=True, exist_ok=True)
        try:
            lease = file_locks.create(final.with_name(final.name + UNFINISHED))
            break
        except FileNotFoundError:  # an eviction took the empty folder away
            continue
    try:
        with os.fdopen(os.dup(lease.descriptor), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        lease.path.unlink(missing_ok=True)
        lease.close()
        raise
    return lease, final


def publish(lease: file_locks.Lease, final: Path, *, root: Path) -> None:
    """Rename a shard to its final name, durably, and release its lock."""
    with lease:
        lease.path.rename(final)
        for place in (final.parent, final.parent.parent, root):
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
