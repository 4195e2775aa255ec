"""Rows of JSONL, JSON and parquet files with the same columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vldock.image.heads.episodes import columns
from vldock.image.heads.episodes.rows import Faults, Picture, Row
from vldock.image.heads.episodes.stored import ParquetPicture, image_column

IMAGES = ("image", "images")


def read_json(paths: list[Path], faults: Faults) -> Iterator[Row]:
    """Yield the rows of JSONL files, or of files with one JSON list.

    Pictures are named relative to their file's folder.
    """
    for path in paths:
        count, picture_of = 0, columns.file_of(path.parent)
        for where, values in _values(path, faults):
            count += 1
            if not isinstance(values, dict):
                faults.add(where, f"is a {type(values).__name__}, not {{column: value}}")
            elif row := columns.make_row(where, values, picture_of, faults):
                yield row
        if not count:
            faults.add(path.name, "has no rows")


def _values(path: Path, faults: Faults) -> Iterator[tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        faults.add(path.name, f"cannot be read: {error}")
        return
    if path.suffix == ".json":
        try:
            listed = json.loads(text)
        except ValueError as error:
            faults.add(path.name, f"is no JSON: {error}")
            return
        if not isinstance(listed, list):
            faults.add(path.name, f"holds a {type(listed).__name__}, not a list of rows")
            return
        yield from ((f"{path.name}, row {place}", one) for place, one in enumerate(listed))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        where = f"{path.name}, line {number}"
        if line.strip():
            try:
                yield where, json.loads(line)
            except ValueError as error:
                faults.add(where, f"is no JSON: {error}")


def read_parquet(paths: list[Path], folder: Path, faults: Faults) -> Iterator[Row]:
    """Yield the rows of parquet files.

    A picture is {bytes, path}, as the Hub's data sets store it, or the name of a file below `folder`.
    """
    import pyarrow
    import pyarrow.parquet

    for path in paths:
        try:
            opened = pyarrow.parquet.ParquetFile(path)
        except (OSError, pyarrow.ArrowInvalid) as error:
            faults.add(path.name, f"is no parquet file: {error}")
            continue
        names = opened.schema_arrow.names
        place = 0
        for group in range(opened.num_row_groups):
            plain = opened.read_row_group(group, [name for name in names if name not in IMAGES]).to_pylist()
            images = {name: image_column(path, group, name) for name in IMAGES if name in names}
            for number in range(opened.metadata.row_group(group).num_rows):
                values = dict(plain[number]) if plain else {}
                values |= {
                    name: _stored(path, group, number, (name,), one[number].as_py()) for name, one in images.items()
                }
                where = f"{path.name}, row {place}"
                row = columns.make_row(where, values, _picture_in(folder), faults)
                place += 1
                if row:
                    yield row
        if not place:
            faults.add(path.name, "has no rows")


def _stored(path: Path, group: int, row: int, keys: tuple[str | int, ...], value: Any) -> Any:
    """Return a value with stored images replaced by their places."""
    if isinstance(value, dict) and "bytes" in value:
        return ParquetPicture(path, group, row, keys) if value["bytes"] else value.get("path")
    if isinstance(value, dict):
        return {name: _stored(path, group, row, (*keys, name), one) for name, one in value.items()}
    if isinstance(value, list):
        return [_stored(path, group, row, (*keys, number), one) for number, one in enumerate(value)]
    return value


def _picture_in(folder: Path) -> columns.PictureOf:
    of_file = columns.file_of(folder)

    def picture_of(camera: str, value: Any) -> Picture | str:
        return value if isinstance(value, ParquetPicture) else of_file(camera, value)

    return picture_of
