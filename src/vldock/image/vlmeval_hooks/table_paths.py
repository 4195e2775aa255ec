"""image_path of a table: files found below $LMUData, names to write pictures under, none outside its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from vldock.common.errors import InputRefused
from vldock.common.table_check import pictures


def settle(table: Any, *, root: Path, folder: str, apart: bool) -> None:
    """Change image_path of a table, where it has one, to what VLMEvalKit can use.

    Without `image` beside it a file is looked for below `root`, in images/`folder` first; `apart`: pictures that share
    a name get names of their own. Raises InputRefused for a path that leaves its folder.
    """
    if "image_path" not in table:
        return
    written = "image" in table
    images = list(table["image"]) if written else [None] * len(table)
    taken: dict[str, int] = {}
    cells: list[Any] = []
    for index, image, cell in zip(table["index"], images, table["image_path"], strict=True):
        if not isinstance(cell, str) or not cell:
            cells.append(cell)
            continue
        names = pictures.texts(cell)
        for name in names:
            if pictures.leaves(name, absolute=not written):
                raise InputRefused(f"image_path of index {index} is {name}", expected="a file below its folder")
        if not written:
            names = [str(pictures.file_of(name, root=root, table=folder) or name) for name in names]
        elif apart and isinstance(image, str):
            names = _apart(names, image, str(index), taken)
        cells.append(names[0] if len(names) == 1 else names)
    table["image_path"] = cells


def _apart(names: list[str], image: str, index: str, taken: dict[str, int]) -> list[str]:
    found = []
    for name, content in zip(names, pictures.texts(image), strict=False):
        mine = taken.setdefault(name, hash(content)) == hash(content)
        found.append(
            name if mine else str(PurePosixPath(name).with_name(f"{_plain(index)}-{PurePosixPath(name).name}"))
        )
    return [*found, *names[len(found) :]]


def _plain(index: str) -> str:
    return index.replace("/", "_")
