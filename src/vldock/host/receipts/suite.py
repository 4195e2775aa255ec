"""Digests of the tests and patches that judge an image.

By content, so that a receipt made with other tests is detected."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vldock.common import hashing
from vldock.host.receipts.statement import Inputs
from vldock.host.util import checkout

TESTS = ("tests/image", "tests/docker", "tests/support")
PATCHES = ("patches",)
LEFT_OUT = {"__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


def hash_tree(folder: Path, names: Iterable[str]) -> str:
    """Return the sha256 over the files below `names`, without caches.

    Over the sorted (path, sha256 of content) pairs.
    """
    found = (path for name in names for path in (folder / name).rglob("*"))
    files = (path for path in found if path.is_file() and not LEFT_OUT.intersection(path.parts))
    return hashing.tree_sha256(sorted(files, key=lambda path: path.relative_to(folder).as_posix()), folder)


def read_inputs(folder: Path, *, lock: str | None = None) -> Inputs:
    """Return the receipt inputs of this checkout.

    `lock` is the image's own where it is known.
    """
    return Inputs(
        lock=lock or hashing.sha256_file(folder / checkout.LOCK),
        tests=hash_tree(folder, TESTS),
        patches=hash_tree(folder, PATCHES),
    )
