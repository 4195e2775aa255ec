"""Tiny images as `docker save` writes them.

The layouts are those of engines before and from 25.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vldock.host.images.identity import ImageIdentity

LOCK = "ab" * 32
LABELS = {"vldock.lock.sha256": LOCK, "org.opencontainers.image.title": "vldock"}


@dataclass(frozen=True)
class SavedImage:
    """A saved image: its path, identity, config and layers."""

    path: Path
    identity: ImageIdentity
    config: bytes
    layers: tuple[bytes, ...]


def layer(name: str, content: bytes) -> bytes:
    """Return a layer: a tar with one file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        _add(tar, name, content)
    return made.getvalue()


def noise(seed: int, size: int) -> bytes:
    """Return incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def save(
    path: Path,
    *,
    seed: int = 1,
    sizes: Sequence[int] = (2000, 3000),
    labels: Mapping[str, str] = LABELS,
    layout: str = "legacy",
) -> SavedImage:
    """Write a tar of one image with noise layers.

    The layers have these sizes; the seed decides the bytes.
    """
    layers = tuple(layer(f"file-{number}", noise(seed * 100 + number, size)) for number, size in enumerate(sizes))
    config = config_of(layers, labels=labels)
    write(path, config, layers, layout=layout)
    return SavedImage(path, ImageIdentity(sha256(config), tuple(map(sha256, layers))), config, layers)


def config_of(layers: Sequence[bytes], *, labels: Mapping[str, str] = LABELS) -> bytes:
    """Return the config of an image of these layers."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Labels": dict(labels), "Cmd": ["true"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(content) for content in layers]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "test"} for _ in layers],
    }
    return json.dumps(config).encode()


def write(path: Path, config: bytes, layers: Sequence[bytes], *, layout: str = "legacy", images: int = 1) -> None:
    """Write config and layers unchecked.

    With layout 'links' a repeated layer is a symbolic link.
    """
    digest = hashlib.sha256(config).hexdigest()
    blobs = layout == "oci"
    names = [
        f"blobs/sha256/{sha256(content)[7:]}" if blobs else f"{number:064x}/layer.tar"
        for number, content in enumerate(layers)
    ]
    where = f"blobs/sha256/{digest}" if blobs else f"{digest}.json"
    with tarfile.open(path, "w") as tar:
        for number, (name, content) in enumerate(zip(names, layers, strict=True)):
            if layout == "links" and content in layers[:number]:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, f"../{names[layers.index(content)]}"
                tar.addfile(entry)
            else:
                _add(tar, name, content)
        _add(tar, where, config)
        _add(tar, "manifest.json", json.dumps([{"Config": where, "RepoTags": None, "Layers": names}] * images).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def sha256(content: bytes) -> str:
    """Return sha256:... of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
