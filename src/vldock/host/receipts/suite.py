"""Which tests and patches judged an image: their trees by content, so that a receipt of other tests is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from vldock.host.receipts.statement import Inputs
from vldock.host.util import checkout

TESTS = ("tests/image", "tests/docker", "tests/support")
PATCHES = ("patches",)
LEFT_OUT = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


def tree(folder: Path, names: Iterable[str]) -> str:
    """Return the sha256 over the sorted (path, sha256 of content) pairs of the files below `names`; caches left out."""
    total = hashlib.sha256()
    found = (path for name in names for path in (folder / name).rglob("*"))
    for path in sorted(found, key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_file() and not LEFT_OUT.intersection(path.parts):
            total.update(f"{path.relative_to(folder).as_posix()}\0{checkout.sha256(path)}\n".encode())
    return total.hexdigest()


def inputs(folder: Path, *, lock: str | None = None) -> Inputs:
    """Return the inputs of this checkout; `lock` is the image's own where it is known."""
    return Inputs(
        lock=lock or checkout.sha256(folder / checkout.LOCK), tests=tree(folder, TESTS), patches=tree(folder, PATCHES)
    )
