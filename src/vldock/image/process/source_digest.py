"""Digest of the Python sources of packages."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path


@functools.cache
def sources_digest(*packages: str) -> str:
    """Return a digest over every .py file of the packages.

    16 hexadecimal digits of the sha256, or `absent`.
    """
    digest = hashlib.sha256()
    for package in packages:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            return "absent"
        root = Path(found.origin).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
