"""An image of a few kilobytes over the base, whose `python` is a shell script: containers without the six gigabytes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vldock.host import base, checkout
from vldock.host.console import silent
from vldock.host.container_spec import ROLE_LABEL, RUN_LABEL

SCRIPT = Path(__file__).parent / "tiny_python.sh"


def base_image(client: Any) -> base.Base:
    """Return the base, pulled or made where it is missing."""
    recipe = base.BaseRecipe.load(checkout.root() / checkout.BASE_FILE)
    return base.ensure(client, recipe, say=silent)


@contextmanager
def made(client: Any, *, name: str, run_id: str) -> Iterator[str]:
    """Commit the image and yield its name; removed afterwards."""
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
    content, made_here = SCRIPT.read_bytes(), io.BytesIO()
    with tarfile.open(fileobj=made_here, mode="w") as archive:
        entry = tarfile.TarInfo("python")
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    return made_here.getvalue()
