"""An image in the engine: look-up, identity, and the stream of `docker save`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.errors import error_text
from vldock.host.images import archive
from vldock.host.images.identity import ImageIdentity
from vldock.host.util import checkout

LABELS = ["org.opencontainers.image.title=vldock", "vldock.stage=promote"]  # of the Dockerfile's last stage
UNTAGGED = "<none>:<none>"
SAVE_SECONDS = 3600  # an engine writes all layers to its own folder before its first byte
CONTAINERD_STORE = "io.containerd.snapshotter.v1"


def find(client: Any, reference: str, *, hint: str = "docker images; a registry's image: registry:NAME") -> Any:
    """Return the SDK's image of a name or id.

    Raises EnvironmentUnfit, with `hint`, where the engine has none.
    """
    from docker.errors import ImageNotFound

    try:
        return client.images.get(reference)
    except ImageNotFound as error:
        raise EnvironmentUnfit(f"there is no image {reference} here", hint=hint) from error


def find_default(client: Any) -> tuple[str | None, str | None]:
    """Return the image to use where none is named, and a remark on the choice.

    It is vldock:4.37; without that, the newest with a tag and the labels of this project's whole image. None without
    either.
    """
    from docker.errors import ImageNotFound

    try:
        client.images.get(checkout.IMAGE_TAG)
    except ImageNotFound:
        found = client.api.images(filters={"label": LABELS})
        tags = [(image["Created"], [tag for tag in image["RepoTags"] or () if tag != UNTAGGED]) for image in found]
        named = [(created, min(ours)) for created, ours in tags if ours]
        if not named:
            return None, None
        newest = max(named)[1]
        others = f", the newest of {len(named)}" if len(named) > 1 else ""
        return newest, f"image: {newest}, found by its label{others}; --image names another"
    return checkout.IMAGE_TAG, None


def read_identity(client: Any, image: Any) -> ImageIdentity:
    """Return the identity of an engine's image.

    One in containerd's store is read whole (minutes): its id is no config's digest.
    """
    if uses_containerd(client):
        return archive.read(save(client, image), name=str(image.id)).identity
    return ImageIdentity(str(image.id), tuple(image.attrs["RootFS"]["Layers"]))


def uses_containerd(client: Any) -> bool:
    """Whether the engine stores images in containerd.

    There an id is a manifest's digest, not a config's.
    """
    pairs = client.info().get("DriverStatus") or ()
    return ["driver-type", CONTAINERD_STORE] in [list(pair) for pair in pairs]


class ChunkReader(io.RawIOBase):
    """A readable file over an iterator of bytes.

    For instance over the engine's answer to `docker save`.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from at most one chunk; return 0 at the end."""
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def save(client: Any, image: Any) -> IO[bytes]:
    """Return the stream of `docker save`; reading it raises EnvironmentUnfit where it breaks."""
    client.api.timeout = SAVE_SECONDS

    def chunks() -> Iterator[bytes]:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            yield from client.api.get_image(image.id)
        except (DockerException, RequestException) as error:
            raise EnvironmentUnfit(
                f"the engine did not save {image.id}: {error_text(error)}",
                expected="the whole image; the engine needs its size as free disk meanwhile",
                hint="vldock engine status",
            ) from error

    return io.BufferedReader(ChunkReader(chunks()), buffer_size=1 << 20)
