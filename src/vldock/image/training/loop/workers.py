"""Worker processes that read and encode batches, within shared memory.

They change no bit of a training: the order of samples is drawn before, and each sample depends on its record alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from vldock.common.errors import EnvironmentUnfit
from vldock.image.training.data.encode import Encoded, Encoder
from vldock.image.training.data.records import Record

SHARED_MEMORY = Path("/dev/shm")
PREFETCH = 2  # batches each worker has ready, as torch's DataLoader
LOOKED_AT = 8  # records; one batch is as large as their largest in every row
DIED = "DataLoader worker"  # how torch's error begins


def count_workers(
    asked: int, rows: int, records: Sequence[Record], encoder: Encoder, *, emit: Callable[..., None],
    free: Callable[[], int] | None = None,
) -> int:  # fmt: skip
    """Return how many of `asked` workers batches of `rows` leave room for in /dev/shm.

    None with a feature cache: its rows are read, computed and locked by the training process.
    """
    if not asked:
        return 0
    if encoder.cached is not None:
        emit("workers", asked=asked, used=0, trouble="the feature cache is read by the training process")
        return 0
    size = rows * max(bytes_of(encoder(record)) for record in records[:LOOKED_AT])
    there = (free or free_bytes)() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    used = min(asked, there // (PREFETCH * size))
    trouble = None if used == asked else (
        f"/dev/shm has {there / 1e6:.0f} MB free, a worker takes {PREFETCH * size / 1e6:.0f}: docker run --shm-size=8g"
    )  # fmt: skip
    emit("workers", asked=asked, used=used, batch_mb=round(size / 1e6, 1), trouble=trouble)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # a tokenizer with threads must not be forked
    return used


def bytes_of(item: Encoded) -> int:
    """Return the bytes of an encoded record's tensors."""
    tensors: tuple[torch.Tensor, ...] = (item.ids, item.labels, *item.images)
    return sum(tensor.nbytes for tensor in tensors)


def free_bytes() -> int:
    """Return the free bytes of /dev/shm; 0 where there is none."""
    if not SHARED_MEMORY.is_dir():
        return 0
    stats = os.statvfs(SHARED_MEMORY)
    return stats.f_bavail * stats.f_frsize


@contextmanager
def explain_deaths() -> Iterator[None]:
    """Raise EnvironmentUnfit for torch's error of a worker that was killed."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(DIED):
            raise
        raise EnvironmentUnfit(
            f"a process that reads batches died: {str(error).splitlines()[0]}",
            expected="memory for train.workers processes, and /dev/shm for their batches",
            hint="fewer train.workers (0: none); docker run --shm-size=8g. The same command resumes",
        ) from error
