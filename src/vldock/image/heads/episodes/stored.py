"""Pictures inside parquet files and videos, read forward and kept open.

A picture is an image file's bytes: those stored in parquet, or a video's frame as PNG. Its sha256 is its identity.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

KEPT = 8  # row groups and videos kept open by a process
T = TypeVar("T")
_kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()


@dataclass(frozen=True)
class ParquetPicture:
    """Image stored in a row of a parquet file.

    `keys` lead from the row to the bytes: ("image",) or ("images", "wrist").
    """

    path: Path
    group: int
    row: int
    keys: tuple[str | int, ...]

    @property
    def name(self) -> str:
        """Name of file, row group, row and column."""
        return f"{self.path.name}[{self.group}:{self.row}].{'.'.join(map(str, self.keys))}"

    def __str__(self) -> str:
        return f"{self.path.parent / self.name}"

    def read_bytes(self) -> bytes:
        """Return the stored bytes. Raises OSError where there are none."""
        value = image_column(self.path, self.group, str(self.keys[0]))[self.row].as_py()
        for key in self.keys[1:]:
            value = value[key]
        if not value or not value["bytes"]:
            raise OSError(f"{self}: no image")
        return bytes(value["bytes"])


def image_column(path: Path, group: int, column: str) -> Any:
    """Return the arrow column of one row group."""
    import pyarrow.parquet

    return _keep((path, group, column), lambda: pyarrow.parquet.ParquetFile(path).read_row_group(group, [column])[0])


@dataclass(frozen=True)
class VideoFrame:
    """Frame of a video, counted from 0."""

    path: Path
    frame: int

    @property
    def name(self) -> str:
        """Name of video and frame."""
        return f"{self.path.name}[{self.frame}]"

    def __str__(self) -> str:
        return f"{self.path.parent / self.name}"

    def read_bytes(self) -> bytes:
        """Return the frame as PNG. Raises OSError where it cannot be decoded."""
        video: _Video = _keep((self.path,), lambda: _Video(self.path))
        png = io.BytesIO()
        video.frame(self.frame).to_image().save(png, format="PNG", compress_level=1)
        return png.getvalue()


class _Video:
    """Video read forward: a seek is exact in no container, so going back opens it again."""

    def __init__(self, path: Path) -> None:
        self.path, self.at, self.last = path, -1, None
        self._open()

    def frame(self, number: int) -> Any:
        import av

        if number < self.at:
            self._open()
        try:
            while self.at < number:
                self.last, self.at = next(self.frames), self.at + 1
        except (StopIteration, av.error.FFmpegError) as error:
            self._open()
            raise OSError(f"{self.path}: frame {number} cannot be decoded") from error
        return self.last

    def _open(self) -> None:
        import av

        try:
            opened = av.open(str(self.path))
            self.stream = opened.streams.video[0]
        except (av.error.FFmpegError, IndexError) as error:
            raise OSError(f"{self.path}: cannot be opened as a video") from error
        self.frames, self.at, self.last = opened.decode(self.stream), -1, None


def find_video_fault(path: Path, frames: int) -> str | None:
    """Return why a video cannot give its first `frames` frames, None where it can.

    The count is the container's; only the first frame is decoded.
    """
    if not path.is_file():
        return f"{path}: no such file"
    try:
        count = _keep((path,), lambda: _Video(path)).stream.frames
        VideoFrame(path, 0).read_bytes()
    except OSError as error:
        return str(error)
    return f"{path}: {count} frames, {frames} rows" if 0 < count < frames else None


def _keep(key: tuple[Any, ...], make: Callable[[], T]) -> T:
    """Return what this process keeps open under `key`."""
    own = (os.getpid(), *key)  # a forked worker must not move its parent's place in a file
    if own not in _kept:
        _kept[own] = make()
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(own)
    kept: T = _kept[own]
    return kept
