"""Image of a few kilobytes over the base.

Its `python` is a shell script.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.host.build import base_image as base_build
from vldock.host.containers.spec import ROLE_LABEL, RUN_LABEL
from vldock.host.util import checkout
from vldock.host.util.console import silent

HERE = Path(__file__).parent
SCRIPTS = {"python": HERE / "tiny_python.sh", "tiny_session": HERE / "tiny_session.sh"}


def base_image(client: Any) -> base_build.Base:
    """Return the base image, pulled or made if absent."""
    recipe = base_build.BaseRecipe.load(checkout.root() / checkout.BASE_FILE)
    return base_build.ensure(client, recipe, say=silent)


@contextmanager
def committed(client: Any, *, name: str, run_id: str) -> Iterator[str]:
    """Commit the tiny image and yield its name; removed afterwards."""
    labels = {ROLE_LABEL: "test", RUN_LABEL: run_id}
    source = client.containers.create(base_image(client).tag, command=["true"], labels=labels)
    try:
        source.put_archive("/usr/local/bin", _archive())
        repository, _, tag = name.partition(":")
        source.commit(repository, tag, changes=["WORKDIR /workspace"])
    finally:
        source.remove(force=True)
    yield name
    client.images.remove(name, force=True)


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in SCRIPTS.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, 0o755
            archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()
