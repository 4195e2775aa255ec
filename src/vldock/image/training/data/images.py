"""Images: where the bytes come from, what is wrong with them, and how they become RGB.

Evaluation (VLMEvalKit, predict.py) opens an image with PIL and calls convert("RGB"): an image that means something else
to that call than to a person (rotated by EXIF, CMYK, 16 bits, several frames) is refused, unless `accept` names it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vldock.common.tables.images import BROKEN

ORIENTATION = 0x0112  # EXIF tag; 1 is upright
SIDEWAYS = (5, 6, 7, 8)  # its values that swap width and height
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
MAX_PIXELS = 50_000_000
MIN_SIDE = 8


class Picture(Protocol):
    """An image that can be read; `name` is what a person would look for."""

    @property
    def name(self) -> str:
        """Return what to call it in a message."""

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
    """One row of a data set of the Hub, its image column read without decoding: {"bytes": ..., "path": ...}."""

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
    """A flaw of one image: a kind of flaws.CURES, and what was seen."""

    kind: str
    detail: str


def sha256_of(picture: Picture) -> str:
    """Return the sha256 of the encoded bytes."""
    return hashlib.sha256(picture.read()).hexdigest()


def examine(picture: Picture, *, accept: Collection[str] = (), max_pixels: int = MAX_PIXELS) -> list[Finding]:
    """Return what is wrong with a picture, decoding it to its end; a huge one is not decoded."""
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
    """Return the picture as a PIL image in RGB, 8 bits; what `accept` names is converted as a person would see it.

    Raises OSError for one that cannot be decoded: `examine` finds those before anything is trained.
    """
    return decode(picture.read(), accept=accept)


def decode(content: bytes, *, accept: Collection[str] = ()) -> Any:
    """Return encoded bytes as `rgb` does."""
    from PIL import Image, ImageOps

    image: Any = Image.open(io.BytesIO(content))
    if image.mode in DEEP and "16-bit" in accept:
        image = _eight_bits(image)
    if "exif-rotated" in accept:
        image = ImageOps.exif_transpose(image)
    return image.convert("RGB")


def size_of(content: bytes, *, accept: Collection[str] = ()) -> tuple[int, int]:
    """Return width and height of what `opened` returns; the picture is not decoded."""
    from PIL import Image

    image = Image.open(io.BytesIO(content))
    width, height = image.size
    lies = "exif-rotated" in accept and image.getexif().get(ORIENTATION, 1) in SIDEWAYS
    return (height, width) if lies else (width, height)


def _kind_of(error: OSError) -> str:
    kinds = {PermissionError: "no-permission", IsADirectoryError: "not-a-file"}
    return kinds.get(type(error), "missing-file")


def _decode(data: bytes, name: str, max_pixels: int) -> list[Finding]:
    from PIL import Image

    try:
        image: Any = Image.open(io.BytesIO(data))
        width, height = image.size
        if width * height > max_pixels:
            return [Finding("huge", f"{name} is {width}x{height}, over {max_pixels} pixels")]
        found = [Finding("tiny", f"{name} is {width}x{height}")] if min(width, height) < MIN_SIDE else []
        frames = getattr(image, "n_frames", 1)
        found += [Finding("animated", f"{name} has {frames} frames")] if frames > 1 else []
        found += [Finding("cmyk", f"{name} is {image.mode}")] if image.mode in ("CMYK", "YCCK") else []
        found += [Finding("16-bit", f"{name} has pixels of mode {image.mode}")] if image.mode in DEEP else []
        turned = image.getexif().get(ORIENTATION, 1)
        found += [Finding("exif-rotated", f"{name} has EXIF orientation {turned}")] if turned not in (0, 1) else []
        image.load()
    except Image.DecompressionBombError as error:
        return [Finding("huge", f"{name}: {error}")]
    except BROKEN as error:
        return [Finding("corrupt", f"{name}: {_short(error)}")]
    return found


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return "no image format PIL knows" if "cannot identify" in text else text[:120]


def _eight_bits(image: Any) -> Any:
    """Scale 16 bits to 8: PIL's own convert() would clip them to white."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype("float64")
    top = 65535.0 if values.max(initial=0) > 255 else 255.0
    return Image.fromarray((values / top * 255.0).clip(0, 255).round().astype("uint8"))
