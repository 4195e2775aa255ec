"""Images from files, URLs, data: URIs and standard input, checked before use.

The model then reads the file exactly as run.py does, `Image.open(path).convert("RGB")`: its effect on an unusual
image (EXIF, CMYK, 16 bits, animation, transparency) is remarked and not corrected, so that both give the same answer.
"""

from __future__ import annotations

import base64
import binascii
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image import picture_file
from vldock.image.predict.image_download import DownloadLimits, fetch
from vldock.image.weights import file_hashes

SQUARE = 178_956_970  # pixels of the padded square: Pillow's own limit, half a gigabyte in memory


@dataclass(frozen=True)
class Picture:
    """Readable image: its file, source and remarks.

    The remarks say how a model sees the image.
    """

    path: Path
    source: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureReader:
    """Reader of images: files in `folder`, standard input, URLs within `limits`."""

    folder: Path = Path()
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    stdin: Callable[[], BinaryIO] = lambda: sys.stdin.buffer

    @contextmanager
    def gather(self, sources: Sequence[str]) -> Iterator[list[Picture]]:
        """Yield a picture for each source.

        One that is no file is in the cache until the context ends.

        UsageError for a source that is none, InputRefused for bytes that are no image, EnvironmentUnfit for a URL that
        cannot be reached.
        """
        with tempfile.TemporaryDirectory(prefix="predict-", dir=_scratch()) as scratch:
            yield [self.read(source, Path(scratch, f"image-{number}")) for number, source in enumerate(sources)]

    def read(self, source: str, target: Path) -> Picture:
        """Return the picture of a source.

        A source that is no file is written to `target`.
        """
        name = display_name(source)
        if source == "-":
            target.write_bytes(_limited(self.stdin(), self.limits.size))
        elif source.startswith("data:"):
            target.write_bytes(_decoded(source))
        elif source.lower().startswith(("http://", "https://")):
            fetch(source, target, self.limits)
        else:
            target = self.folder / Path(source).expanduser()
            if not target.is_file():
                what = "is a folder" if target.is_dir() else "no such file"
                raise UsageError(f"image {source}: {what}", expected="a file, a URL, a data: URI, or - for stdin")
        return Picture(target, name, examine(target, name))


def display_name(source: str) -> str:
    """Return a source's name for messages, without data, password and query."""
    if source == "-":
        return "standard input"
    if source.startswith("data:"):
        return f"{source[:24]}..."
    head, colon, rest = source.partition("://")
    return f"{head}://{rest.partition('?')[0].rpartition('@')[2]}" if colon else source


def examine(path: Path, name: str) -> tuple[str, ...]:
    """Decode an image once and return remarks.

    Raises InputRefused where no model could see it, or it is too large.
    """
    if not path.stat().st_size:
        raise InputRefused(f"{name} is empty (0 bytes)", expected="an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on size and palettes: the remarks below replace them
            with picture_file.open_image(path) as image:
                _require_small(image, name)
                found = tuple(_remarks(image))
                image.convert("RGB")
    except picture_file.Unreadable as error:
        raise _refusal(path, name, error) from error
    return found


def _refusal(path: Path, name: str, error: picture_file.Unreadable) -> InputRefused:
    if error.kind == "unknown":
        return InputRefused(
            f"{name} is no image that can be read: it begins with {_head(path)!r}",
            expected="PNG, JPEG, WebP, GIF, BMP, TIFF ...",
        )
    if error.kind == "huge":
        return InputRefused(f"{name}: {error.reason}", expected=f"at most {SQUARE} pixels")
    return InputRefused(
        f"{name} is damaged: {error.reason}",
        expected="an image that decodes to its last row",
        hint="fetch it once more",
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _require_small(image: Image.Image, name: str) -> None:
    """Raise InputRefused for an image too large to pad.

    An image is padded to a square.
    A line of 100000 pixels would take 30 GB.
    """
    side = max(image.size)
    if side * side > SQUARE:
        width, height = image.size
        raise InputRefused(
            f"{name} is {width}x{height} pixels; padded to {side}x{side} it takes {side * side * 3 / 1e9:.1f} GB",
            expected=f"a longer side of at most {int(SQUARE**0.5)} pixels; the model looks at 336",
            hint="scale it down first",
        )


def _remarks(image: Image.Image) -> list[str]:
    found = []
    if (turned := picture_file.orientation_of(image)) != 1:
        found.append(f"EXIF asks to turn it (orientation {turned}); it is seen unturned, as run.py sees it")
    if (frames := picture_file.frames_of(image)) > 1:
        found.append(f"it has {frames} frames; the first is seen")
    if image.mode in picture_file.DEEP:
        found.append(f"{picture_file.DEEP[image.mode]} a pixel: values above 255 are seen as white")
    if image.mode in ("CMYK", "LAB", "YCbCr") and image.format != "PNG":
        found.append(f"{image.mode} is converted without its colour profile")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        found.append("transparency is dropped: the colours under it are seen")
    return found


def _limited(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size + 1)
    if len(data) > size:
        raise InputRefused(f"standard input has more than {size} bytes", expected="an image", hint="--max-bytes")
    return data


def _decoded(uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise UsageError(f"{uri[:40]!r} is no data: URI of an image", expected="data:image/png;base64,...")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise InputRefused(f"a data: URI is damaged: {error}", expected="base64") from error


def _scratch() -> Path:
    """Return the cache's folder for images without a file."""
    folder = file_hashes.cache_path().parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
