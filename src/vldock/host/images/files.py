"""Files of an image in the engine, read without running anything in it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from typing import Any

ROLE_LABEL = "vldock.role"


def read(client: Any, image: str, paths: Iterable[str]) -> dict[str, bytes | None]:
    """Return the contents of regular files in an image.

    They are {path: content}, with None for an absent file. `image` is a name or id.

    Raises the SDK's ImageNotFound where the engine has no such image.
    """
    from docker.errors import NotFound

    container = client.containers.create(image, command=["true"], labels={ROLE_LABEL: "read"})
    found: dict[str, bytes | None] = {}
    try:
        for path in paths:
            try:
                chunks, _ = container.get_archive(path)
            except NotFound:
                found[path] = None
                continue
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
                member = tar.extractfile(tar.getmembers()[0])
                found[path] = member.read() if member else None
    finally:
        container.remove(force=True)
    return found
