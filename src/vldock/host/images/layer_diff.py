"""Differences of two layers, file by file: metadata and sha256 of the content."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from vldock.host.images import archive
from vldock.host.images.local import ChunkReader

SHOWN = 20  # files named for each layer; the rest is counted


@dataclass(frozen=True)
class Entry:
    """Entry of a layer: tar header, and sha256 of the content.

    Times are in seconds; the sha256 is cut to 16 digits.
    """

    type: str
    mode: str
    uid: int
    gid: int
    mtime: float
    size: int
    link: str
    sha256: str

    def differences(self, other: Entry) -> list[str]:
        """Return 'field: here -> there' for each field that differs."""
        here, there = asdict(self), asdict(other)
        return [f"{name}: {here[name]} -> {there[name]}" for name in here if here[name] != there[name]]


Layer = Mapping[str, Entry]


def read_entries(stream: IO[bytes]) -> dict[str, Entry]:
    """Return {path: entry} of an uncompressed layer."""
    found = {}
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            source = tar.extractfile(member) if member.isreg() else None
            digest = hashlib.file_digest(source, "sha256").hexdigest()[:16] if source else ""  # type: ignore[arg-type]
            found[member.name] = Entry(
                {b"0": "file", b"5": "folder", b"2": "link", b"1": "hard link"}.get(member.type, repr(member.type)),
                oct(member.mode),
                member.uid,
                member.gid,
                float(member.mtime),
                member.size,
                member.linkname,
                digest,
            )
    return found


def compare(first: Layer, second: Layer) -> list[str]:
    """Return one line per path that differs, in order of paths.

    The order of entries alone is also a difference.
    """
    lines = []
    for path in sorted(first.keys() | second.keys()):
        here, there = first.get(path), second.get(path)
        if here is None or there is None:
            lines.append(f"/{path}: only in the {'second' if here is None else 'first'}")
        elif here != there:
            lines.append(f"/{path}: {', '.join(here.differences(there))}")
    if not lines and list(first) != list(second):
        lines.append("the same entries in another order")
    return lines or ["the same entries; the archive around them differs"]


def read_layers(stream: IO[bytes], *, name: str, wanted: Collection[int]) -> dict[int, dict[str, Entry]]:
    """Return {number from 0: entries} of some layers of a saved image.

    A saved image names its layers at its end, so entries of all layers are read, then chosen.
    """
    by_member: dict[str, dict[str, Entry]] = {}
    by_digest: dict[str, str] = {}

    def take(member: str, chunks: Iterator[bytes]) -> None:
        whole = hashlib.sha256()
        reader: Any = ChunkReader(archive.hash_chunks(chunks, whole))
        by_member[member] = read_entries(io.BufferedReader(reader, buffer_size=1 << 20))
        while reader.read(1 << 20):
            pass
        by_digest[f"sha256:{whole.hexdigest()}"] = member

    saved = archive.read(stream, name=name, on_layer=take)
    return {number: by_member[by_digest[saved.identity.layers[number]]] for number in wanted}
