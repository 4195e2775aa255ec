"""Small training data: coloured squares, and broken images.

The squares are in the original archive's layout; the images are broken on purpose.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def square(path: Path, shade: int, *, size: tuple[int, int] = (32, 24)) -> Path:
    """Write a JPEG of one colour."""
    Image.new("RGB", size, (shade % 256, (shade * 37) % 256, (shade * 91) % 256)).save(path)
    return path


def archive(folder: Path, labels: list[int], sets: Mapping[str, list[int]], *, packed: bool = False) -> Path:
    """Write jpg/ (or 102flowers.tgz), imagelabels.mat and setid.mat; image numbers count from 1."""
    (folder / "jpg").mkdir(parents=True)
    for number in range(1, len(labels) + 1):
        square(folder / "jpg" / f"image_{number:05d}.jpg", number)
    savemat(folder / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    savemat(folder / "setid.mat", {name: np.array([numbers], dtype=np.uint16) for name, numbers in sets.items()})
    if packed:
        with tarfile.open(folder / "102flowers.tgz", "w:gz") as stream:
            stream.add(folder / "jpg", "jpg")
        for path in (folder / "jpg").iterdir():
            path.unlink()
        (folder / "jpg").rmdir()
    return folder


def _truncated(path: Path) -> None:
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(stream, "JPEG")
    path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])


def _animated(path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 128, 255)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def _rotated(path: Path) -> None:
    image = Image.new("RGB", (16, 24), (9, 9, 9))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, "JPEG", exif=exif)


BROKEN: Mapping[str, Callable[[Path], object]] = {
    "missing-file": lambda path: None,
    "not-a-file": lambda path: path.mkdir(),
    "zero-size": lambda path: path.touch(),
    "corrupt": _truncated,
    "cmyk": lambda path: Image.new("CMYK", (16, 16), (10, 200, 30, 40)).save(path, "JPEG"),
    "16-bit": lambda path: Image.fromarray(np.full((16, 16), 40000, np.uint16)).save(path, "PNG"),
    "animated": _animated,
    "exif-rotated": _rotated,
    "huge": lambda path: Image.new("L", (300, 300)).save(path, "PNG"),
    "tiny": lambda path: Image.new("RGB", (4, 40)).save(path, "PNG"),
}
