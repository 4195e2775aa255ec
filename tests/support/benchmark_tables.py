"""Custom benchmark tables as TSVs, sound or flawed.

A flaw is at a known line.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

Row = Mapping[str, object]


def encode(image: Image.Image, form: str = "PNG") -> str:
    """Return an image as the base64 of a TSV's image column."""
    buffer = io.BytesIO()
    image.save(buffer, form)
    return base64.b64encode(buffer.getvalue()).decode()


def picture(colour: str = "red", *, mode: str = "RGB", form: str = "PNG", size: tuple[int, int] = (64, 48)) -> str:
    """Return the base64 of a one-colour image.

    It is zeros in a mode without named colours.
    """
    image = Image.new(mode, size, colour) if mode in ("RGB", "L", "P") else Image.new(mode, size)
    return encode(image, form)


def pixel() -> str:
    """Return the base64 of a one-pixel GIF, shorter than an index may be."""
    return base64.b64encode(
        bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")
    ).decode()


def row(index: object, **values: object) -> dict[str, object]:
    """Return a sound row: a red image, two options, the answer A."""
    return {
        "index": index,
        "image": picture(),
        "question": "What colour?",
        "A": "red",
        "B": "blue",
        "answer": "A",
    } | values


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as a TSV; the first row names the columns."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def replace_line(path: Path, number: int, line: bytes) -> None:
    """Replace a line of a file, counted from 1."""
    lines = path.read_bytes().split(b"\n")
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines))
