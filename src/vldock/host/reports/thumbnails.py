"""Thumbnails of samples as data URIs, within a budget of bytes.

They come from the benchmark's TSV.

A TSV is believed where its md5 is the one in the cell's identity; one too large for that, where it is older than the
cell.
"""

from __future__ import annotations

import ast
import base64
import binascii
import csv
import hashlib
import io
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import vldock
from vldock.common import hashing
from vldock.common.cell_record import Cell
from vldock.host.runs.plan import RunPlan

SIDE = 288  # pixels of a thumbnail's longer side
QUALITY = 70
HASHED_UP_TO = 64_000_000  # bytes of a TSV whose md5 is taken
READ_UP_TO = 2_000_000_000  # bytes of a TSV to read for images
REFERENCE_UP_TO = 64  # characters: VLMEvalKit takes a shorter image for the index of the row that has it
STANDIN_DATA = Path(vldock.__file__).parent / "image" / "standin" / "assets" / "LMUData"


@dataclass
class Album:
    """Thumbnails of a report, each image once."""

    budget: int
    uris: dict[str, str] = field(default_factory=dict)
    size: int = 0
    left_out: int = 0
    _keys: dict[str, str] = field(default_factory=dict)

    def add(self, encoded: str) -> str | None:
        """Return the key of a base64 image, or None.

        None is for an invalid image, or where there is no room.
        """
        digest = hashlib.sha256(encoded.encode()).hexdigest()
        if digest in self._keys:
            return self._keys[digest]
        uri = thumbnail(encoded)
        if uri is None or self.size + len(uri) > self.budget:
            self.left_out += uri is not None
            return None
        key = f"p{len(self.uris)}"
        self._keys[digest] = key
        self.uris[key] = uri
        self.size += len(uri)
        return key


def thumbnail(encoded: str) -> str | None:
    """Return a JPEG thumbnail as a data URI, or None.

    It is at most SIDE x SIDE. None is for a text that is no image.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as picture:
                picture.draft("RGB", (SIDE, SIDE))
                flat = picture.convert("RGBA")
        flat.thumbnail((SIDE, SIDE))
        ground = Image.new("RGB", flat.size, "white")
        ground.paste(flat, mask=flat)
        made = io.BytesIO()
        ground.save(made, "JPEG", quality=QUALITY)
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(made.getvalue()).decode()}"


def find_tsv(plan: RunPlan, cell: Cell) -> tuple[Path | None, str | None]:
    """Return the TSV of a cell, or None and the reason."""
    folder = Path(plan.data) if plan.data else (STANDIN_DATA if cell.standin else None)
    if folder is None:
        return None, "the run had no --data, so its pictures are gone with the container"
    path = folder / f"{cell.benchmark}.tsv"
    if not path.is_file():
        return None, f"there is no {path.name} any more"
    size, wanted = path.stat().st_size, cell.identity.get("tsv_md5")
    if size > READ_UP_TO:
        return None, f"{path.name} is larger than {READ_UP_TO // 10**9} GB"
    if wanted and size <= HASHED_UP_TO:
        same = hashing.md5_file(path) == wanted
        return (path, None) if same else (None, f"{path.name} is not the one this cell was made from")
    if path.stat().st_mtime > datetime.fromisoformat(cell.started).timestamp():
        return None, f"{path.name} is younger than this cell"
    return path, None


def read_pictures(tsv: Path, wanted: Collection[str]) -> dict[str, list[str]]:
    """Return the base64 images of the rows of these indices.

    A row may point at another row's image.
    """
    found, elsewhere = dict[str, str](), dict[str, str]()
    asked = set(wanted)
    for _ in range(2):  # the rows asked for, then those they point at, which VLMEvalKit has anywhere in the file
        for index, text in _column(tsv, asked):
            (found if len(text) > REFERENCE_UP_TO else elsewhere)[index] = text
        asked = set(elsewhere.values()) - found.keys()
        if not asked:
            break
    seen: Mapping[str, str] = {**{index: found[to] for index, to in elsewhere.items() if to in found}, **found}
    return {index: _list(seen[index]) for index in wanted if index in seen}


def _list(text: str) -> list[str]:
    if not text.startswith("["):
        return [text]
    try:
        return [str(item) for item in ast.literal_eval(text)]
    except (ValueError, SyntaxError):
        return []


def _column(tsv: Path, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield (index, image) of some rows, reading no further than the last."""
    missing = set(wanted)
    with _any_field_size(), tsv.open(encoding="utf-8", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if not missing:
                return
            if row.get("index") in missing:
                missing.discard(row["index"])
                yield row["index"], row.get("image") or ""


@contextmanager
def _any_field_size() -> Iterator[None]:
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
