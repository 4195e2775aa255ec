"""Values of a table's image_path column.

They are files below $LMUData, or names for decoded images.
No path leaves its folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from vldock.common.errors import InputRefused
from vldock.common.tables import images as table_images

Names = dict[str, Any]  # {index: image_path for the row's images}


def resolve_cells(table: Any, *, root: Path, folder: str, separate: bool) -> Names:
    """Resolve a table's image_path in place.

    Returns other names for rows that share one.
    A table without `image` has its files found below `root`, in images/`folder` first.
    `separate`: rows whose image is not the first under its name get another name. The column itself remains, because
    benchmarks group rows by it. Raises InputRefused for a path that leaves its folder.
    """
    other: Names = {}
    if "image_path" not in table:
        return other
    written = "image" in table
    images = list(table["image"]) if written else [None] * len(table)
    taken: dict[str, int] = {}
    cells: list[Any] = []
    for index, image, cell in zip(table["index"], images, table["image_path"], strict=True):
        if not isinstance(cell, str) or not cell:
            cells.append(cell)
            continue
        names = table_images.split_cell(cell)
        for name in names:
            if table_images.leaves_folder(name, absolute=not written):
                raise InputRefused(f"image_path of index {index} is {name}", expected="a file below its folder")
        if not written:
            names = [str(table_images.file_of(name, root=root, table=folder) or name) for name in names]
        elif separate and isinstance(image, str):
            found = _separate(names, image, str(index), taken)
            other |= {str(index): _cell(found)} if found != names else {}
        cells.append(_cell(names))
    table["image_path"] = cells
    return other


def dump_under_own_name(dump: Callable[[Any], Any], names: Names, line: Any) -> Any:
    """Write a row's images by a benchmark's `dump`.

    Under the row's own name, if it has one.
    """
    name = names.get(str(line["index"]))
    return dump(line if name is None else {**dict(line), "image_path": name})


def _cell(names: list[str]) -> Any:
    return names[0] if len(names) == 1 else names


def _separate(names: list[str], image: str, index: str, taken: dict[str, int]) -> list[str]:
    found = []
    for name, content in zip(names, table_images.split_cell(image), strict=False):
        mine = taken.setdefault(name, hash(content)) == hash(content)
        found.append(
            name if mine else str(PurePosixPath(name).with_name(f"{_plain(index)}-{PurePosixPath(name).name}"))
        )
    return [*found, *names[len(found) :]]


def _plain(index: str) -> str:
    return index.replace("/", "_")
