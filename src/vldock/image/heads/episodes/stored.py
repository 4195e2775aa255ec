"""Pictures inside parquet files and videos, read forward and kept open.

A picture is an image file's bytes: those stored in parquet, or a video's frame as PNG. Its sha256 is its identity.
"""

from __future__ import annotations

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
        import cv2

        video: _Video = _keep((self.path,), lambda: _Video(self.path))
        found, png = cv2.imencode(".png", video.frame(self.frame), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not found:
            raise OSError(f"{self}: cannot be encoded")
        return bytes(png)


class _Video:
    """Video read forward: a seek is exact in no container, so going back opens it again."""

    def __init__(self, path: Path) -> None:
        self.path, self.at, self.last = path, -1, None
        self._open()

    def frame(self, number: int) -> Any:
        if number < self.at:
            self._open()
        while self.at < number:
            if not self.capture.grab():
                raise OSError(f"{self.path}: frame {number} cannot be decoded")
            self.at, self.last = self.at + 1, None
        if self.last is None:
            found, self.last = self.capture.retrieve()
            if not found:
                raise OSError(f"{self.path}: frame {number} cannot be decoded")
        return self.last

    def _open(self) -> None:
        import cv2

        self.capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        self.at, self.last = -1, None
        if not self.capture.isOpened():
            raise OSError(f"{self.path}: cannot be opened as a video")


def find_video_fault(path: Path, frames: int) -> str | None:
    """Return why a video cannot give its first `frames` frames, None where it can.

    The count is the container's; only the first frame is decoded.
    """
    import cv2

    if not path.is_file():
        return f"{path}: no such file"
    try:
        capture = _keep((path,), lambda: _Video(path)).capture
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        VideoFrame(path, 0).read_bytes()
    except OSError as error:
        codec = _codec(path)
        remedy = f"ffmpeg -i {path.name} -c:v libx264 -crf 18 OUT.mp4, in a copy of the data set"
        return f"{error} (codec {codec}); {remedy}" if codec else str(error)
    return f"{path}: {count} frames, {frames} rows" if 0 < count < frames else None


def _codec(path: Path) -> str:
    """Return the four letters of a video's codec, "" where they are not known."""
    import cv2

    number = int(cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).get(cv2.CAP_PROP_FOURCC))
    return number.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ") if number > 0 else ""


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
