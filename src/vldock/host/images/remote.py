"""An image in a registry, read back: manifest, config and layers hashed.

Layers are hashed as stored and uncompressed.
"""

from __future__ import annotations

import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO

from vldock.common.errors import UsageError
from vldock.host.errors import Damaged
from vldock.host.images.archive import check_layers, decompress, diff_ids
from vldock.host.images.identity import ImageIdentity
from vldock.host.registry.client import (
    CHUNK,
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    LISTS,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Remote,
)

IMAGES = (DOCKER_MANIFEST, OCI_MANIFEST)
CONFIGS = (DOCKER_CONFIG, "application/vnd.oci.image.config.v1+json")


def find(remote: Remote, reference: str) -> Manifest | None:
    """Return the manifest of one image, or None.

    Raises UsageError for a list of images, which has no one config, and for an artifact.
    """
    found = remote.manifest(reference)
    if found is not None and found.media_type in LISTS:
        names = ", ".join(found.images)
        raise UsageError(
            f"{remote.repository}:{reference} is a list of images",
            expected="one image",
            hint=f"name one of them by digest: {names}",
        )
    if found is not None and not (found.media_type in IMAGES and _is_image(found)):
        raise UsageError(
            f"{remote.repository}:{reference} is no image: {found.media_type}",
            expected="an image, not what is attached to one",
            hint=f"{remote.repository}:TAG of an image",
        )
    return found


def _is_image(manifest: Manifest) -> bool:
    """Whether a manifest is an image's, not an artifact's.

    An artifact's config holds nothing an engine could run.
    """
    return "config" in manifest.content and manifest.config.media_type in CONFIGS


def read_claimed_identity(remote: Remote, manifest: Manifest) -> ImageIdentity:
    """Return the identity claimed by an image.

    Its config is hashed, its layers are not.
    """
    config = remote.read(manifest.config)
    return ImageIdentity(manifest.config.digest, diff_ids(config, name=f"{remote.repository}@{manifest.digest}"))


def read_identity(remote: Remote, manifest: Manifest) -> ImageIdentity:
    """Return the identity of an image from all its bytes.

    Raises Damaged for a missing, changed or foreign blob.
    """
    name = f"{remote.repository}@{manifest.digest}"
    config = remote.read(manifest.config)
    layers = tuple(_diff_id(remote, layer, name) for layer in manifest.layers)
    check_layers(config, layers, name=name)
    return ImageIdentity(manifest.config.digest, layers)


def _diff_id(remote: Remote, layer: Descriptor, name: str) -> str:
    digest = hashlib.sha256()
    with tempfile.TemporaryFile(prefix="vldock-layer-") as content:
        remote.fetch(layer, content)
        try:
            for chunk in decompress(read_chunks(content)):
                digest.update(chunk)
        except (ValueError, zlib.error) as error:
            raise Damaged(
                f"{name}: layer {layer.digest}: {error}", expected="gzip or plain tar", hint="promote another image"
            ) from error
    return f"sha256:{digest.hexdigest()}"


def read_chunks(content: IO[bytes]) -> Iterator[bytes]:
    """Yield a file's content from its current position."""
    while chunk := content.read(CHUNK):
        yield chunk
