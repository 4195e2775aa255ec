"""An image in the engine: what it is made of, and all of it as a stream."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.errors import plain
from vldock.host.images import archive
from vldock.host.images.identity import ImageIdentity

SAVE_SECONDS = 3600  # an engine writes all layers to a folder of its own before its first byte
CONTAINERD_STORE = "io.containerd.snapshotter.v1"


def find(client: Any, reference: str, *, hint: str = "docker images; a registry's image: registry:NAME") -> Any:
    """Return the SDK's image of a name or id; raises EnvironmentUnfit, with `hint`, where the engine has none."""
    from docker.errors import ImageNotFound

    try:
        return client.images.get(reference)
    except ImageNotFound as error:
        raise EnvironmentUnfit(f"there is no image {reference} in the engine", hint=hint) from error


def read_identity(client: Any, image: Any) -> ImageIdentity:
    """Return what an engine's image is made of; one whose store names images otherwise is read whole (minutes)."""
    if uses_containerd(client):
        return archive.read(save(client, image), name=str(image.id)).identity
    return ImageIdentity(str(image.id), tuple(image.attrs["RootFS"]["Layers"]))


def uses_containerd(client: Any) -> bool:
    """Tell whether the engine keeps images in containerd's store, where an id is a manifest's digest, no config's."""
    pairs = client.info().get("DriverStatus") or ()
    return ["driver-type", CONTAINERD_STORE] in [list(pair) for pair in pairs]


class ChunkReader(io.RawIOBase):
    """A readable file over an iterator of bytes, such as the engine's answer to `docker save`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as one chunk reaches; 0 at the end."""
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def save(client: Any, image: Any) -> IO[bytes]:
    """Return the stream of `docker save` of an engine's image; reading it raises EnvironmentUnfit where it breaks."""
    client.api.timeout = SAVE_SECONDS

    def chunks() -> Iterator[bytes]:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            yield from client.api.get_image(image.id)
        except (DockerException, RequestException) as error:
            raise EnvironmentUnfit(
                f"the engine did not save {image.id}: {plain(error)}",
                expected="the whole image; the engine needs its size as free disk meanwhile",
                hint="vldock engine status",
            ) from error

    return io.BufferedReader(ChunkReader(chunks()), buffer_size=1 << 20)
