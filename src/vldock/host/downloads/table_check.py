"""Check of a benchmark's table on the host, the same as run.py's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.common.tables import TableCheck, check_table
from vldock.common.tables import images as table_images
from vldock.host.downloads.inventory import Item

SUFFIX = ".tsv"


def is_custom(name: str, root: Path | None) -> bool:
    """Return whether a name is a user's own table.

    A path, or a TSV in the folder of benchmarks.
    """
    return name.endswith(SUFFIX) or (root is not None and (root / f"{name}{SUFFIX}").is_file())


def custom_item(name: str, root: Path | None, *, quick: bool = False) -> Item:
    """Return the item of a user's own table.

    Raises UsageError where it is absent.
    """
    path = Path(name) if name.endswith(SUFFIX) or root is None else root / f"{name}{SUFFIX}"
    if not path.is_file():
        raise UsageError(f"{path} is not there", expected="a benchmark's name, or the path of a TSV")
    item = Item("data", path.stem, "complete", str(path), path.stat().st_size)
    return item if quick else with_problems(item, own=True)


def with_problems(item: Item, *, own: bool = False) -> Item:
    """Return a table's item with the problems of its rows.

    A table that run.py would refuse is `flawed`.
    """
    look = check_file(Path(item.path), own=own)
    notes = (*item.notes, *look.lines())
    return replace(item, state="flawed" if look.refused else item.state, notes=notes, rows=look.rows)


def check_file(path: Path, *, own: bool) -> TableCheck:
    """Return the check of a whole table, every image decoded."""
    return check_table(path, name=path.stem, root=path.parent, own=own, decode=why_broken, threads=4)


def why_broken(content: bytes) -> str | None:
    """Return why bytes are no image a model can see, or None."""
    from PIL import Image

    return table_images.why_broken(content, Image)
