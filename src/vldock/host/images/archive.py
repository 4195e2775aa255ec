"""Reader of a saved image (docker save): one pass, every digest recomputed.

No claimed digest is believed.

Both layouts are read: <id>/layer.tar with <config>.json (engines below 25) and blobs/sha256/* (from 25 on). The order
of the members does not matter and nothing is unpacked, so a stream will do.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import posixpath
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from vldock.host.errors import Damaged
from vldock.host.images.identity import ImageIdentity

CHUNK = 1 << 20
SMALL = 4 << 20  # bytes: no config or manifest is larger
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"

# Called with the chunks of each uncompressed layer; must take them all.
OnLayer = Callable[[str, Iterator[bytes]], None]


@dataclass
class _Findings:
    """Findings of one pass: small files, diff_ids of large ones, links between names."""

    small: dict[str, bytes] = field(default_factory=dict)
    diff_ids: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        for _ in range(8):
            name = self.links.get(name, name)
        return name


@dataclass(frozen=True)
class SavedImage:
    """A saved image's config, and the identity recomputed from config and layers."""

    config: bytes
    identity: ImageIdentity


def read(stream: IO[bytes], *, name: str, on_layer: OnLayer | None = None) -> SavedImage:
    """Read the one image of a saved tar.

    `name` is for messages; layers are handed to `on_layer(member, chunks)` as they come.

    Raises Damaged where the tar cannot be read, or its layers are not those its config names.
    """
    seen = _Findings()
    try:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                _take(tar, member, seen, on_layer)
        return _assemble(seen, name)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise _damaged(name, f"it cannot be read: {error}") from error
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise _damaged(name, f"it is no saved image: {error!r}") from error


@contextmanager
def open_saved(path: Path) -> Iterator[IO[bytes]]:
    """Yield the stream of a saved tar; '-' is standard input.

    Raises Damaged where it is not there.
    """
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise _damaged(str(path), str(error.strerror)) from error
    with stream:
        yield stream


def _damaged(name: str, what: str) -> Damaged:
    return Damaged(
        f"{name}: {what}",
        expected="the output of docker save, whole",
        hint="docker save IMAGE -o FILE, and copy it again",
    )


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, seen: _Findings, on_layer: OnLayer | None) -> None:
    path = posixpath.normpath(member.name)
    if member.issym() or member.islnk():
        base = posixpath.dirname(path) if member.issym() else ""
        seen.links[path] = posixpath.normpath(posixpath.join(base, member.linkname))
        return
    source = tar.extractfile(member)
    if source is None:
        return
    head = source.read(min(CHUNK, member.size))
    is_layer = path.endswith("/layer.tar") or (path.startswith("blobs/") and not head.startswith(b"{"))
    if not is_layer:
        if member.size <= SMALL:
            seen.small[path] = head + source.read()
        return
    digest = hashlib.sha256()
    chunks = hash_chunks(decompress(_chunks(head, source)), digest)
    if on_layer:
        on_layer(path, chunks)
    for _ in chunks:
        pass
    seen.diff_ids[path] = f"sha256:{digest.hexdigest()}"


def _chunks(head: bytes, source: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := source.read(CHUNK):
        yield chunk


def hash_chunks(chunks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    """Yield the same chunks, feeding each to `digest` (of hashlib)."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def decompress(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of a layer, plain or gzip.

    A gzip may have several members (eStargz has one for each file).

    Raises ValueError for zstd and for a stream cut off, zlib.error for one that is broken.
    """
    first = next(chunks, b"")
    if first.startswith(ZSTD):
        raise ValueError("a layer is packed with zstd, which this Python cannot read")
    if not first.startswith(GZIP):
        yield first
        yield from chunks
        return
    member = zlib.decompressobj(wbits=31)
    for chunk in itertools.chain([first], chunks):
        rest = chunk
        while rest:
            if member.eof:
                member = zlib.decompressobj(wbits=31)
            yield member.decompress(rest)
            rest = member.unused_data
    if not member.eof:
        raise ValueError("a layer's gzip stream was cut off")


def _assemble(seen: _Findings, name: str) -> SavedImage:
    images = json.loads(seen.small["manifest.json"])
    if len(images) != 1:
        raise _damaged(name, f"it holds {len(images)} images, not one")
    path = seen.resolve(posixpath.normpath(images[0]["Config"]))
    config = seen.small[path]
    digest = hashlib.sha256(config).hexdigest()
    if posixpath.basename(path).removesuffix(".json") != digest:
        raise _damaged(name, f"its config {path} was changed: its sha256 is {digest}")
    layers = tuple(seen.diff_ids[seen.resolve(posixpath.normpath(layer))] for layer in images[0]["Layers"])
    check_layers(config, layers, name=name)
    return SavedImage(config, ImageIdentity(f"sha256:{digest}", layers))


def check_layers(config: bytes, layers: tuple[str, ...], *, name: str) -> None:
    """Raise Damaged, naming the first, where layers are not those of the config."""
    declared = diff_ids(config, name=name)
    if len(declared) != len(layers):
        raise _damaged(name, f"it has {len(layers)} layers, its config names {len(declared)}")
    for number, (want, have) in enumerate(zip(declared, layers, strict=True), 1):
        if want != have:
            raise _damaged(name, f"layer {number} of {len(layers)} is damaged: its content is {have}, not {want}")


def diff_ids(config: bytes, *, name: str) -> tuple[str, ...]:
    """Return the diff_ids of a config; raises Damaged where it names none.

    A diff_id is the digest of an uncompressed layer.
    """
    try:
        return tuple(map(str, json.loads(config)["rootfs"]["diff_ids"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise _damaged(name, f"its config names no layers: {error!r}") from error
