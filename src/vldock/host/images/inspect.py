"""Identity of an image in an engine, a registry or a saved tar."""

from __future__ import annotations

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import client as docker_client
from vldock.host.images import archive
from vldock.host.images import local as local_images
from vldock.host.images import remote as remote_images
from vldock.host.images.identity import ImageIdentity
from vldock.host.registry.client import Manifest, Remote
from vldock.host.registry.connection import RegistryOptions
from vldock.host.registry.reference import RemoteImage, Source
from vldock.host.util.console import Say


def read(source: Source, line: RegistryOptions, *, say: Say) -> ImageIdentity:
    """Return the identity of an image.

    Of a registry's or a saved image every byte is read and hashed.

    The engine's digests are trusted: it hashes its layers when it takes them in. Raises EnvironmentUnfit where there is
    no such image, Damaged where its parts contradict each other.
    """
    if source.path is not None:
        with archive.open_saved(source.path) as stream:
            return archive.read(stream, name=str(source)).identity
    if source.remote is not None:
        with line.open(source.remote.repository, say=say) as remote:
            return remote_images.read_identity(remote, require_manifest(remote, source.remote))
    with docker_client.open_client() as client:
        return local_images.read_identity(client, local_images.find(client, source.text))


def require_manifest(remote: Remote, image: RemoteImage) -> Manifest:
    """Return the image's manifest; raises EnvironmentUnfit where the repository has none."""
    manifest = remote_images.find(remote, image.reference)
    if manifest is None:
        raise EnvironmentUnfit(f"there is no image {image}", expected="a tag or a digest of that repository")
    return manifest
