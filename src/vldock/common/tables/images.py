"""Image cells of a table: lists, references, base64, file names.

References are to other rows.
"""

from __future__ import annotations

import ast
import base64
import io
import posixpath
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REFERENCE_UP_TO = 64  # characters: VLMEvalKit takes a shorter cell for the index of the row that has the image
DATA_URI = re.compile(r"data:[^,]{0,100},", re.IGNORECASE)
# What Pillow's decoders raise for bytes that are no image, or only the beginning of one.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error, MemoryError)
AS_IT_IS = ("RGB", "L", "1", "RGBA", "P", "LA")  # PNG holds these, or VLMEvalKit converts them itself
NUMBER = re.compile(r"([+-]?)0*(\d+)(?:\.0*)?")
Decode = Callable[[bytes], str | None]  # why these bytes are no image, or None


def split_cell(cell: str) -> list[str]:
    """Return the texts of a cell: itself, or those of a Python list.

    Raises ValueError for another [...].
    """
    if not (cell.startswith("[") and cell.endswith("]")):
        return [cell]
    try:
        value = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("no Python list") from error
    if not isinstance(value, list) or not value:
        raise ValueError("an empty list")
    return [str(item) for item in value]


def without_uri(text: str) -> str:
    """Return base64 without the `data:image/png;base64,` before it."""
    found = DATA_URI.match(text, 0, 128) if text[:5].lower() == "data:" else None
    return text[found.end() :] if found else text


def why_broken_base64(text: str, decode: Decode) -> str | None:
    """Return why one base64 text is no image, or None.

    As in VLMEvalKit, other characters are skipped.
    """
    try:
        content = base64.b64decode(without_uri(text))
    except ValueError as error:
        return f"no base64: {error}"
    return decode(content) if content else "empty"


def load_picture(content: bytes, pillow: Any, *, draft: bool = False) -> Any:
    """Return an image read to its end by `pillow` (PIL.Image).

    `draft`: a JPEG at an eighth of its size, in half the time.

    Modes of AS_IT_IS are unchanged, others become RGB. Raises one of BROKEN.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of palettes and sizes
        try:
            image = pillow.open(io.BytesIO(content))
            if draft:
                image.draft("RGB", (1, 1))
            image.load()
            return image if image.mode in AS_IT_IS else image.convert("RGB")
        except pillow.DecompressionBombError as error:
            raise ValueError(str(error)) from error


def why_broken(content: bytes, pillow: Any) -> str | None:
    """Return why bytes are no image a model can see, or None."""
    try:
        load_picture(content, pillow, draft=True)
    except BROKEN as error:
        return short_error(error)
    return None


def short_error(error: BaseException) -> str:
    """Return a decoder's error as a short phrase."""
    text = " ".join(str(error).split())
    return "no picture that Pillow knows" if "cannot identify" in text else text[:120] or type(error).__name__


def as_number(index: str) -> str:
    """Return an index as pandas reads a column of numbers.

    `01`, `1.0` and `1` are one; another text is unchanged.
    """
    match = NUMBER.fullmatch(index.strip())
    return f"{match[1].strip('+')}{match[2]}" if match else index


def is_reference(cell: str, indices: Mapping[str, object]) -> bool:
    """Return whether an image cell names another row.

    Such a cell is short, and the index of a row.
    """
    return len(cell) <= REFERENCE_UP_TO and cell in indices


def leaves_folder(name: str, *, absolute: bool = False) -> bool:
    """Return whether a file name leads out of its folder.

    `absolute` allows a path from the root.
    """
    plain = posixpath.normpath(name.replace("\0", ""))
    return (plain.startswith("/") and not absolute) or plain == ".." or plain.startswith("../")


def file_of(name: str, *, root: Path, table: str) -> Path | None:
    """Return the file of an image_path without an image beside it, or None.

    Absolute, or below images/<table> or the root.
    """
    if leaves_folder(name, absolute=True):
        return None
    places = [Path(name)] if name.startswith("/") else [root / "images" / table / name, root / name]
    return next((place for place in places if place.is_file()), None)
