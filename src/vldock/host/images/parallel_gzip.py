"""Parallel gzip of a layer, to reproducible bytes.

The bytes are the same on any number of cores. Blocks of 1 MiB are deflated each by itself and joined into one gzip
member, as pigz --independent does (RFC 1951, 1952): no time and no name goes in. zlib lets other threads run while it
works.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

BLOCK = 1 << 20
LEVEL = 6  # gzip's own default, and docker's
HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
END = b"\x03\x00"  # an empty last block


def compress(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the gzip of an iterator of bytes."""
    workers = os.cpu_count() or 1
    check = size = 0
    waiting: deque[Future[bytes]] = deque()
    yield HEADER
    with ThreadPoolExecutor(workers) as pool:
        for block in split_blocks(chunks):
            check, size = zlib.crc32(block, check), size + len(block)
            waiting.append(pool.submit(_deflate, block))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    yield END + struct.pack("<II", check, size & 0xFFFFFFFF)


def split_blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks of BLOCK; the last may be shorter."""
    rest = bytearray()
    for chunk in chunks:
        rest += chunk
        while len(rest) >= BLOCK:
            yield bytes(rest[:BLOCK])
            del rest[:BLOCK]
    if rest:
        yield bytes(rest)


def _deflate(block: bytes) -> bytes:
    machine = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    return machine.compress(block) + machine.flush(zlib.Z_SYNC_FLUSH)
