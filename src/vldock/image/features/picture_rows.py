"""Rows of a build: pictures of a folder or a conversation file."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image import picture_file

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageRow:
    """Image of a data set: its path and its prompt.

    The prompt is given where features depend on it.
    """

    dataset: str
    vlm_idx: int
    path: Path
    prompt: str | None = None


@dataclass(frozen=True)
class BrokenRow:
    """Row with an unusable picture, and the reason."""

    row: ImageRow
    why: str

    def __str__(self) -> str:
        return f"row {self.row.vlm_idx} ({self.row.path}): {self.why}"


def sha256_of(content: bytes) -> str:
    """Return the sha256 of a picture's file, which identifies it."""
    return hashlib.sha256(content).hexdigest()


def decode(content: bytes) -> Image.Image:
    """Return an image in RGB, as LLaVA and VLMEvalKit open it.

    Raises ValueError.
    """
    if not content:
        raise ValueError("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with picture_file.open_image(content) as image:
            mode = image.mode
            pixels: Image.Image | None = None if mode in picture_file.DEEP else image.convert("RGB")
    if pixels is None:
        raise ValueError(f"mode {mode}: convert('RGB') would clip it to white; save it with 8 bits")
    return pixels


def from_folder(folder: Path, *, dataset: str | None = None, prompt: str | None = None) -> list[ImageRow]:
    """Return the pictures below a folder, sorted by path.

    Raises UsageError where there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
    if not paths:
        raise UsageError(f"{folder} holds no pictures", expected=f"files ending in {' '.join(PICTURES)}")
    return [ImageRow(dataset or folder.name, index, path, prompt) for index, path in enumerate(paths)]


def from_json(
    path: Path, *, images: Path | None = None, dataset: str | None = None,
    prompt: str | None = None, prompt_key: str | None = None,
) -> list[ImageRow]:  # fmt: skip
    """Return the rows with an `image` in a LLaVA conversation file.

    A row's position in the list is its vlm_idx.

    Their prompt is `prompt`, or each row's value of `prompt_key`.
    Raises InputRefused, naming the row, for a file that is no such list.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputRefused(f"{path} cannot be read: {error}", expected="a JSON list of rows") from error
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise InputRefused(f"{path} holds a {type(rows).__name__}", expected="a JSON list of rows")
    found = []
    for index, row in enumerate(rows):
        names = row.get("image") if isinstance(row, dict) else None
        if names is None and isinstance(row, dict):
            continue  # a conversation without a picture
        if not isinstance(names, str):
            raise InputRefused(f"{path}, row {index}: image is {names!r}", expected="the name of one file")
        said = row.get(prompt_key) if prompt_key else prompt
        if prompt_key and not (isinstance(said, str) and said.strip()):
            raise InputRefused(f"{path}, row {index}: {prompt_key} is {said!r}", expected="the prompt, a text")
        found.append(ImageRow(dataset or path.stem, index, (images or path.parent) / names, said))
    return found
