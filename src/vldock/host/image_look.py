"""What an image is made of, wherever it is: the engine, a registry, a saved tar."""

from __future__ import annotations

from vldock.common.errors import EnvironmentUnfit
from vldock.common.receipt import ImageIdentity
from vldock.host import engine, image_engine, image_remote, image_tar
from vldock.host.console import Say
from vldock.host.registry import Manifest, Remote
from vldock.host.registry_open import Line
from vldock.host.registry_ref import RemoteImage, Source


def read(source: Source, line: Line, *, say: Say) -> ImageIdentity:
    """Return what the image is made of; of a registry's or a saved image every byte is read and hashed.

    An engine is taken at its word: it hashes its layers when it takes them in. Raises EnvironmentUnfit where there is
    no such image, Damaged where its parts contradict each other.
    """
    if source.path is not None:
        with image_tar.opened(source.path) as stream:
            return image_tar.read(stream, name=str(source)).identity
    if source.remote is not None:
        with line.open(source.remote.repository, say=say) as remote:
            return image_remote.identity(remote, present(remote, source.remote))
    with engine.connected() as client:
        return image_engine.identity(client, image_engine.find(client, source.text))


def present(remote: Remote, image: RemoteImage) -> Manifest:
    """Return the image's manifest; raises EnvironmentUnfit where the repository has none of that name."""
    manifest = image_remote.find(remote, image.reference)
    if manifest is None:
        raise EnvironmentUnfit(f"there is no image {image}", expected="a tag or a digest of that repository")
    return manifest
