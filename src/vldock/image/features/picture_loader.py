"""Loading of pictures in worker processes; cached ones are not decoded."""

from __future__ import annotations

import signal
import sys
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from vldock.image.features.picture_rows import BrokenRow, ImageRow, decode, sha256_of
from vldock.image.features.processor import Processor
from vldock.image.features.space import Entry, Space


@dataclass(frozen=True)
class LoaderOptions:
    """Batch size, worker processes, and batches prefetched by each."""

    batch_size: int = 16
    num_workers: int = 0
    prefetch_factor: int = 2


@dataclass(frozen=True)
class Pixels:
    """Pixels of a picture; None: its features are cached."""

    entry: Entry
    pixels: torch.Tensor | None


class PixelDataset(Dataset[Pixels | BrokenRow]):  # type: ignore[misc]
    """Dataset of rows' pixels, or of their faults.

    Without a processor pictures are only decoded.
    """

    def __init__(
        self, rows: Sequence[ImageRow], *, space: Space, processor: Processor | None, cached: Container[str]
    ) -> None:
        self.rows, self.space, self.processor, self.cached = rows, space, processor, cached

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Pixels | BrokenRow:
        row = self.rows[index]
        try:
            content = row.path.read_bytes()
        except OSError as error:
            return BrokenRow(row, error.strerror or str(error))
        entry = Entry(row.dataset, row.vlm_idx, sha256_of(content), row.prompt)
        if self.space.key(entry.image, entry.prompt) in self.cached:
            return Pixels(entry, None)
        try:
            image = decode(content)
            return Pixels(entry, self.processor(image) if self.processor else None)
        except ValueError as error:
            return BrokenRow(row, str(error))


def read(pictures: PixelDataset, loader: LoaderOptions) -> Iterator[list[Pixels | BrokenRow]]:
    """Yield the rows in order, `batch_size` at a time.

    Workers send arrays through their pipes: tensors would go through /dev/shm, of which Docker gives 64 MB.
    """
    ahead = loader.prefetch_factor if loader.num_workers else None
    batches = DataLoader(
        pictures, loader.batch_size, num_workers=loader.num_workers, prefetch_factor=ahead, collate_fn=_as_arrays,
        worker_init_fn=_quiet,
    )  # fmt: skip
    for batch in batches:
        yield [one if isinstance(one, BrokenRow) else _as_pixels(*one) for one in batch]


def _as_arrays(batch: Sequence[Pixels | BrokenRow]) -> list[BrokenRow | tuple[Entry, Any]]:
    arrays: list[BrokenRow | tuple[Entry, Any]] = []
    for one in batch:
        if isinstance(one, BrokenRow):
            arrays.append(one)
        else:
            arrays.append((one.entry, None if one.pixels is None else one.pixels.numpy()))
    return arrays


def _as_pixels(entry: Entry, array: Any) -> Pixels:
    return Pixels(entry, None if array is None else torch.from_numpy(array))


def _quiet(_: int) -> None:
    """Set up a worker with one thread and without Ctrl-C.

    The parent ends its workers; the cores are the model's.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    sys.excepthook = _told


def _told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an exception, except for a connection closed by the parent.

    The thread that passes tensors to the parent raises it when the parent has ended.
    """
    if not issubclass(kind, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)
