"""Rows of a build: pictures of a folder or a conversation file."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image import picture_file

ROWS = "a JSON list of rows, or .jsonl with one on each line"
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
    """Return the images of a LLaVA conversation file, or of rows with their own `dataset` and `vlm_idx`.

    `image` is one file's name or, for several cameras, a list of them. An image's vlm_idx is the row's own, a number or
    a list as long as its images', else row * cameras + camera, with the most cameras of any row.

    Their prompt is `prompt`, or each row's value of `prompt_key`.
    Raises InputRefused, naming the row, for a file that is no such list.
    """
    rows = _read_rows(path)
    views = [_views(row, f"{path}, row {index}") for index, row in enumerate(rows)]
    cameras = max(map(len, views), default=1)
    found = []
    for index, (row, names) in enumerate(zip(rows, views, strict=True)):
        where = f"{path}, row {index}"
        said = row.get(prompt_key) if prompt_key else prompt
        if names and prompt_key and not (isinstance(said, str) and said.strip()):
            raise InputRefused(f"{where}: {prompt_key} is {said!r}", expected="the prompt, a text")
        own = row.get("dataset")
        name = dataset or (own if isinstance(own, str) and own else path.stem)
        places = _places(row, names, index * cameras, where)
        found += [
            ImageRow(name, place, (images or path.parent) / view, said)
            for place, view in zip(places, names, strict=True)
        ]
    _refuse_twice(found, path)
    return found


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        lines = path.suffix == ".jsonl"
        rows = [json.loads(line) for line in text.splitlines() if line.strip()] if lines else json.loads(text)
    except (OSError, ValueError) as error:
        raise InputRefused(f"{path} cannot be read: {error}", expected=ROWS) from error
    if not isinstance(rows, list):
        raise InputRefused(f"{path} holds a {type(rows).__name__}", expected=ROWS)
    wrong = next((index for index, row in enumerate(rows) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise InputRefused(f"{path}, row {wrong}: a {type(rows[wrong]).__name__}", expected=ROWS)
    return rows


def _views(row: dict[str, Any], where: str) -> list[str]:
    """Return the names of a row's images; none for a conversation without a picture."""
    names = row.get("image")
    views = names if isinstance(names, list) else [] if names is None else [names]
    if not all(isinstance(one, str) and one for one in views):
        raise InputRefused(f"{where}: image is {names!r}", expected="the name of a file, or a list of names")
    return views


def _places(row: dict[str, Any], names: list[str], first: int, where: str) -> list[int]:
    own = row.get("vlm_idx")
    if own is None:
        return [first + camera for camera in range(len(names))]
    places = own if isinstance(own, list) else [own]
    if len(places) != len(names) or not all(type(one) is int and one >= 0 for one in places):
        raise InputRefused(
            f"{where}: vlm_idx is {own!r}", expected=f"{len(names)} whole numbers from 0, as many as images"
        )
    return places


def _refuse_twice(rows: Sequence[ImageRow], path: Path) -> None:
    """Raise InputRefused where two images have one data set, vlm_idx and prompt."""
    seen: dict[tuple[str, int, str | None], ImageRow] = {}
    for row in rows:
        before = seen.setdefault((row.dataset, row.vlm_idx, row.prompt), row)
        if before.path != row.path:
            raise InputRefused(
                f"{path}: {row.dataset} row {row.vlm_idx} is both {before.path.name} and {row.path.name}",
                expected="one image for each data set, vlm_idx and prompt",
            )
