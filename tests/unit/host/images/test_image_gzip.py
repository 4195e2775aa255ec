"""Compressed layers: ours the same bytes on any number of cores, others' of several members."""

from __future__ import annotations

import gzip
import json
import subprocess
import zlib

import pytest
from support import saved_image
from support.registries.fake_registry import FakeRegistry
from support.saved_image import noise

from vldock.host.images import parallel_gzip
from vldock.host.images import remote as remote_images
from vldock.host.images.archive import decompress
from vldock.host.images.identity import ImageIdentity
from vldock.host.registry.client import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, Manifest

SIZES = [0, 1, parallel_gzip.BLOCK - 1, parallel_gzip.BLOCK, parallel_gzip.BLOCK + 1, 5 * parallel_gzip.BLOCK + 7]


def content(size: int) -> bytes:
    """Return bytes that pack halfway."""
    return (noise(size, size // 2 + 1) + bytes(size))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_any_size_comes_back_whole(size: int) -> None:
    made = b"".join(parallel_gzip.compress(iter([content(size)])))

    assert gzip.decompress(made) == content(size)
    assert b"".join(decompress(iter([made[:7], made[7:]]))) == content(size)


def test_gzip_itself_finds_no_fault() -> None:
    made = b"".join(parallel_gzip.compress(iter([content(SIZES[-1])])))

    assert subprocess.run(["gzip", "-t"], input=made, check=False).returncode == 0


def test_neither_the_chunks_nor_the_cores_change_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = content(SIZES[-1])
    first = b"".join(parallel_gzip.compress(iter([whole])))
    monkeypatch.setattr("os.cpu_count", lambda: 1)

    second = b"".join(parallel_gzip.compress(whole[at : at + 999_983] for at in range(0, len(whole), 999_983)))

    assert first == second


@pytest.mark.parametrize("damage", [slice(0, -3), slice(0, 40)], ids=["end", "middle"])
def test_a_gzip_stream_cut_short_is_an_error(damage: slice) -> None:
    made = b"".join(parallel_gzip.compress(iter([content(5000)])))

    with pytest.raises(ValueError, match="cut off"):
        b"".join(decompress(iter([made[damage]])))


def members(*parts: bytes) -> bytes:
    """Return several consecutive gzip members, as in an eStargz layer.

    There is one for each file, and an empty one at the end.
    """
    return b"".join(gzip.compress(part, mtime=0) for part in (*parts, b""))


@pytest.mark.parametrize("step", [1, 7, 1 << 20], ids=["byte by byte", "in sevens", "in one"])
def test_every_member_of_a_layer_is_read_wherever_the_chunks_end(step: int) -> None:
    made = members(content(300), b"", content(5000))

    chunks = [made[:2], *(made[at : at + step] for at in range(2, len(made), step))]

    assert b"".join(decompress(iter(chunks))) == content(300) + content(5000)


def test_a_layer_cut_off_in_its_last_member_is_an_error() -> None:
    with pytest.raises(ValueError, match="cut off"):
        b"".join(decompress(iter([members(content(300))[:-4]])))


def test_what_follows_a_member_and_is_none_is_an_error() -> None:
    with pytest.raises(zlib.error):
        b"".join(decompress(iter([members(content(300)) + b"more"])))


def test_an_image_of_such_layers_in_a_registry_is_the_one_its_config_names() -> None:
    layer = saved_image.layer("file", noise(1, 5000))
    packed = members(layer[:1000], layer[1000:])
    config = saved_image.config_of([layer])
    blobs = [Descriptor.of(config, DOCKER_CONFIG), Descriptor.of(packed, DOCKER_LAYER)]
    listed = [blob.as_json() for blob in blobs]
    manifest = Manifest(json.dumps({"config": listed[0], "layers": listed[1:]}).encode(), DOCKER_MANIFEST)
    registry = FakeRegistry()
    registry.blobs = {("a", blob.digest): content for blob, content in zip(blobs, (config, packed), strict=True)}

    made = remote_images.read_identity(registry.remote("a"), manifest)

    assert made == ImageIdentity(blobs[0].digest, (saved_image.sha256(layer),))
