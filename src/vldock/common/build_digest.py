"""Digest of an image's build.

The sha256 of its build facts, which name its content and no time or place.

Read by every run.py on its way to a session: no layout, no json, and not hashlib, which loads OpenSSL (2 ms).
"""

from __future__ import annotations

BUILD_FACTS = "/opt/vldock/build.json"  # written by image/build/build_facts.py


def read_build_digest(path: str = BUILD_FACTS) -> str | None:
    """Return the sha256 of the build facts; None outside an image.

    Two builds of the same inputs have the same.
    """
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  pathlib takes longer than the rest
            facts = stream.read()
    except FileNotFoundError:
        return None
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # CPython's own, gone in 3.12
    except ImportError:
        from hashlib import sha256
    digest: str = sha256(facts).hexdigest()
    return digest
