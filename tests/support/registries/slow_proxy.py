"""Slow proxy to a port of this machine, as a program.

Usage: slow_proxy.py PORT BYTES_PER_SECOND PAUSE COUNTER. It prints its own port, and writes the number of bytes passed
to the file COUNTER. While there is a file COUNTER.limit no byte passes beyond the number in it; COUNTER.held is made
when one waits. A separate process, so that it leaves nothing in the tests' process when it is killed with connections
open.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

CHUNK = 16384


class Counter:
    """The number of bytes passed, written to a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.total = path, 0

    async def admit(self, size: int) -> None:
        """Wait until `size` more bytes may pass."""
        limit, held = self.path.with_suffix(".limit"), self.path.with_suffix(".held")
        while limit.exists() and self.total + size > float(limit.read_text() or 0):
            held.touch()
            await asyncio.sleep(0.01)

    def add(self, size: int) -> None:
        """Add bytes to the count."""
        self.total += size
        part = self.path.with_suffix(".part")
        part.write_text(str(self.total))
        part.replace(self.path)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float, counter: Counter) -> None:
    """Copy bytes, no faster than `rate` a second."""
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            await asyncio.sleep(len(data) / rate)
            await counter.admit(len(data))
            counter.add(len(data))
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(port: int, rate: float, pause: float, counter: Counter) -> None:
    """Accept connections for ever, each after `pause` seconds."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(pause)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pass_on(reader, far_writer, rate, counter), pass_on(far_reader, writer, rate, counter))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), Counter(Path(sys.argv[4]))))
