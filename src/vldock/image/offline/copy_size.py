"""Size of the Arrow copy that the datasets library makes of a snapshot, measured before it is made."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vldock.common.filesystem.permissions import nearest_existing
from vldock.image.offline.errors import NoSpace

WIDTH = {"BOOLEAN": 0.125, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8}  # bytes in Arrow
COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zX")  # gzip, zstd, bzip2, xz
DECLINE = "streaming=True or copy=False (test_hf_cache.py --no-copy) reads the files without a copy"


@dataclass(frozen=True)
class ArrowCopy:
    """A second full copy: bytes of the files, bytes of Arrow, folder, free bytes, source of the figure."""

    source: int
    arrow: int
    folder: Path
    free: int
    measured: str

    def __str__(self) -> str:
        return (
            f"a second copy: {_size(self.source)} of files become {_size(self.arrow)} of Arrow ({self.measured}) in "
            f"{self.folder}, {_size(self.free)} free; {DECLINE}"
        )

    def require_room(self) -> None:
        """Raise NoSpace where the copy does not fit."""
        if self.arrow > self.free:
            raise NoSpace(
                f"{self.folder} has {_size(self.free)} free, and a copy as Arrow takes {_size(self.arrow)}",
                expected=f"room for {_size(self.arrow)} ({self.measured})",
                hint=f"{DECLINE}; or set HF_DATASETS_CACHE to a folder on a larger disk",
            )


def measure(files: Iterable[Path], kind: str, folder: Path, *, declared: int = 0) -> ArrowCopy:
    """Measure the Arrow copy of `files` in `folder`.

    `kind` is the library's reader: parquet, arrow, json, csv, text. `declared` is the size the repository's card gives.
    """
    paths = list(files)
    source = sum(path.stat().st_size for path in paths)
    arrow, measured = source, f"the size of the {kind} files"
    if kind == "parquet":
        arrow, measured = sum(map(parquet_bytes, paths)), "by the footers of the parquet files"
    elif any(map(_is_compressed, paths)):
        measured = f"at least: the size of compressed {kind} files"
    if declared > arrow:
        arrow, measured = declared, "by the repository's card"
    return ArrowCopy(source, arrow, folder, shutil.disk_usage(nearest_existing(folder)).free, measured)


def parquet_bytes(path: Path) -> int:
    """Return the bytes of a parquet file's columns as Arrow.

    Its footer holds each column's uncompressed size; numbers, which a dictionary may shorten there, have a fixed width.
    """
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    return int(
        sum(max(one.total_uncompressed_size, one.num_values * WIDTH.get(one.physical_type, 0)) for one in columns)
    )


def parquet_rows(files: Iterable[Path]) -> int:
    """Return the rows of parquet files, by their footers."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in files)


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(COMPRESSED)


def _size(count: int) -> str:
    """Return a size in the largest unit it has a tenth of."""
    unit, name = next(
        pair for pair in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if count >= pair[0] / 10 or pair[0] == 1e3
    )
    return f"{count / unit:.1f} {name}"
