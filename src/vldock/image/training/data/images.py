"""Images of a training: source of the bytes, flaws, conversion to RGB.

Evaluation (VLMEvalKit, predict.py) opens an image with PIL and calls convert("RGB"): an image that means something else
to that call than to a person (rotated by EXIF, CMYK, 16 bits, several frames) is refused, unless `accept` names it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from PIL import Image, ImageOps

from vldock.image import picture_file
from vldock.image.picture_file import Unreadable

SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
MAX_PIXELS = 50_000_000
MIN_SIDE = 8


class Picture(Protocol):
    """Encoded image with a name for messages."""

    @property
    def name(self) -> str:
        """Return its name in messages."""

    def read(self) -> bytes:
        """Return the encoded bytes; raises OSError."""


@dataclass(frozen=True)
class FilePicture:
    """An image file."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def read(self) -> bytes:
        """Return the file's bytes."""
        return self.path.read_bytes()


@dataclass(frozen=True)
class HubPicture:
    """Image of one row of a Hub data set, read without decoding.

    The column holds {"bytes": ..., "path": ...}.
    """

    dataset: Any = field(compare=False)
    index: int
    column: str
    split: str

    @property
    def name(self) -> str:
        """Split and row, counted from 0 as the data set viewer does."""
        return f"{self.split}[{self.index}]"

    def read(self) -> bytes:
        """Return the encoded image."""
        value = self.dataset[self.index][self.column]
        return bytes(value["bytes"]) if value.get("bytes") is not None else Path(value["path"]).read_bytes()


@dataclass(frozen=True)
class Finding:
    """Flaw of one image: a kind of problems.REMEDIES, and a detail."""

    kind: str
    detail: str


def sha256_of(picture: Picture) -> str:
    """Return the sha256 of the encoded bytes."""
    return hashlib.sha256(picture.read()).hexdigest()


def examine(picture: Picture, *, accept: Collection[str] = (), max_pixels: int = MAX_PIXELS) -> list[Finding]:
    """Return the flaws of an image.

    The image is decoded to its end, unless it is huge.
    """
    try:
        data = picture.read()
    except (FileNotFoundError, IsADirectoryError, PermissionError, NotADirectoryError) as error:
        return [Finding(_kind_of(error), picture.name)]
    except OSError as error:
        return [Finding("corrupt", f"{picture.name}: {error}")]
    if not data:
        return [Finding("zero-size", picture.name)]
    found = _decode(data, picture.name, max_pixels)
    return [finding for finding in found if finding.kind not in accept]


def read_rgb(picture: Picture, *, accept: Collection[str] = ()) -> Any:
    """Return the picture as a PIL image in RGB, 8 bits.

    What `accept` names is converted as a person would see it.

    Raises OSError for one that cannot be decoded: `examine` finds those before anything is trained.
    """
    return decode(picture.read(), accept=accept)


def decode(content: bytes, *, accept: Collection[str] = ()) -> Any:
    """Return encoded bytes as a PIL image, converted as `read_rgb` does."""
    image: Any = Image.open(io.BytesIO(content))
    if image.mode in picture_file.DEEP and "16-bit" in accept:
        image = _eight_bits(image)
    if "exif-rotated" in accept:
        image = ImageOps.exif_transpose(image)
    return image.convert("RGB")


def size_of(content: bytes, *, accept: Collection[str] = ()) -> tuple[int, int]:
    """Return width and height of the image `decode` returns, without decoding it."""
    image = Image.open(io.BytesIO(content))
    width, height = image.size
    lies = "exif-rotated" in accept and picture_file.orientation_of(image) in SIDEWAYS
    return (height, width) if lies else (width, height)


def _kind_of(error: OSError) -> str:
    kinds = {PermissionError: "no-permission", IsADirectoryError: "not-a-file"}
    return kinds.get(type(error), "missing-file")


def _decode(data: bytes, name: str, max_pixels: int) -> list[Finding]:
    try:
        with picture_file.open_image(data) as image:
            width, height = image.size
            if width * height > max_pixels:
                return [Finding("huge", f"{name} is {width}x{height}, over {max_pixels} pixels")]
            found = list(_remarks(image, name))
            image.load()
    except Unreadable as error:
        if error.kind == "huge":
            return [Finding("huge", f"{name}: {error.reason}")]
        reason = "no image format PIL knows" if error.kind == "unknown" else error.reason[:120]
        return [Finding("corrupt", f"{name}: {reason}")]
    return found


def _remarks(image: Any, name: str) -> Iterator[Finding]:
    if min(image.size) < MIN_SIDE:
        yield Finding("tiny", f"{name} is {image.width}x{image.height}")
    if (frames := picture_file.frames_of(image)) > 1:
        yield Finding("animated", f"{name} has {frames} frames")
    if image.mode in ("CMYK", "YCCK"):
        yield Finding("cmyk", f"{name} is {image.mode}")
    if image.mode in picture_file.DEEP:
        yield Finding("16-bit", f"{name} has pixels of mode {image.mode}")
    if (turned := picture_file.orientation_of(image)) != 1:
        yield Finding("exif-rotated", f"{name} has EXIF orientation {turned}")


def _eight_bits(image: Any) -> Any:
    """Scale 16 bits to 8.

    PIL's own convert() would clip them to white.
    """
    import numpy as np

    values = np.asarray(image).astype("float64")
    top = 65535.0 if values.max(initial=0) > 255 else 255.0
    return Image.fromarray((values / top * 255.0).clip(0, 255).round().astype("uint8"))
