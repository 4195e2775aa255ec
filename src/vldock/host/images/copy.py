"""Copy of an image's blobs to a repository.

From another repository as they are; from an engine or a saved tar, each layer is compressed once.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from vldock.common.errors import EnvironmentUnfit
from vldock.host.images.archive import SavedImage, hash_chunks, read
from vldock.host.images.identity import ImageIdentity
from vldock.host.images.parallel_gzip import compress
from vldock.host.registry.client import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, Manifest, Remote
from vldock.host.registry.upload import mount, upload, upload_bytes
from vldock.host.util.console import Say, size_text


@dataclass
class Traffic:
    """Counts of a copy: blobs sent, blobs already there, bytes sent."""

    sent: int = 0
    kept: int = 0
    size: int = 0


def copy(origin: Remote, target: Remote, manifest: Manifest, *, say: Say) -> Traffic:
    """Copy every blob of a manifest between repositories; those already there are skipped."""
    traffic = Traffic()
    same_registry = origin.repository.host == target.repository.host
    for blob in manifest.blobs:
        if target.has(blob) or (same_registry and origin is not target and mount(target, blob, origin.repository.name)):
            traffic.kept += 1
            continue
        with tempfile.TemporaryFile(prefix="vldock-blob-") as content:
            origin.fetch(blob, content)
            _send(target, blob, content, traffic, say)
    return traffic


def _send(target: Remote, blob: Descriptor, content: IO[bytes], traffic: Traffic, say: Say) -> None:
    say(f"sending {blob.digest[:19]} {size_text(blob.size)}")
    upload(target, blob, content)
    traffic.sent += 1
    traffic.size += blob.size


def pack(stream: IO[bytes], target: Remote, *, name: str, say: Say) -> tuple[Manifest, ImageIdentity, Traffic]:
    """Send a saved image's layers, compressed as they are read, then its config.

    Returns the manifest, stored nowhere yet.

    The same image packed by the same Python gives the same manifest: no time and no name goes into gzip.
    Raises Damaged where the layers are not those the config names.
    """
    traffic = Traffic()
    blobs: dict[str, Descriptor] = {}

    def layer(member: str, chunks: Iterator[bytes]) -> None:
        with tempfile.TemporaryFile(prefix="vldock-layer-") as content:
            try:
                diff_id, blob = _gzip(chunks, content)
            except OSError as error:
                raise EnvironmentUnfit(
                    f"{tempfile.gettempdir()}: {error.strerror}", hint="TMPDIR=/a/larger/disk"
                ) from error
            blobs[diff_id] = blob
            if target.has(blob):
                traffic.kept += 1
            else:
                _send(target, blob, content, traffic, say)

    image = read(stream, name=name, on_layer=layer)
    config = upload_bytes(target, image.config, DOCKER_CONFIG)
    return _manifest(config, image, blobs), image.identity, traffic


def _manifest(config: Descriptor, image: SavedImage, blobs: dict[str, Descriptor]) -> Manifest:
    content = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config.as_json(),
        "layers": [blobs[diff_id].as_json() for diff_id in image.identity.layers],
    }
    return Manifest(json.dumps(content, indent=3).encode(), DOCKER_MANIFEST)


def _gzip(chunks: Iterator[bytes], content: IO[bytes]) -> tuple[str, Descriptor]:
    """Write the compressed layer; return its diff_id and its descriptor."""
    plain, gzipped, size = hashlib.sha256(), hashlib.sha256(), 0
    for data in compress(hash_chunks(chunks, plain)):
        gzipped.update(data)
        size += content.write(data)
    content.seek(0)
    return f"sha256:{plain.hexdigest()}", Descriptor(f"sha256:{gzipped.hexdigest()}", size, DOCKER_LAYER)
