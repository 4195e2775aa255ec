"""Proxy before a session's worker that holds answers: `python question_gate.py SOCKET MARK`.

It creates the file MARK when it listens.

Until MARK is removed each connection gets what the model is and four answers, and waits for the next: a test comes in
between, however busy the machine. Then the gate opens, and ends with the connections it has. Standard library only: it
is run in containers by its text.
"""

from __future__ import annotations

import itertools
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

HEADER = struct.Struct("!Q")  # of a message: its length, as vldock.image.session.message_stream sends it
AT_ONCE = 5  # messages


def exactly(connection: socket.socket, size: int) -> bytes:
    """Read `size` bytes; raise EOFError at the end of the stream."""
    data = b""
    while len(data) < size:
        if not (more := connection.recv(size - len(data))):
            raise EOFError
        data += more
    return data


def answers(worker: socket.socket, asker: socket.socket, mark: Path) -> None:
    """Forward the worker's messages, and its end."""
    with suppress(OSError, EOFError):
        for number in itertools.count():
            head = exactly(worker, HEADER.size)
            message = head + exactly(worker, HEADER.unpack(head)[0])
            while number >= AT_ONCE and mark.exists():
                time.sleep(0.02)
            asker.sendall(message)
    hang_up(asker)


def questions(asker: socket.socket, worker: socket.socket) -> None:
    """Forward questions, and their end."""
    with suppress(OSError):
        while data := asker.recv(1 << 16):
            worker.sendall(data)
    hang_up(worker)


def hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def take(listener: socket.socket, real: Path, mark: Path) -> bool:
    """Accept one connection and open one to the worker for it; return False if none waits."""
    try:
        asker, _ = listener.accept()
    except TimeoutError:
        return False
    asker.setblocking(True)
    worker = socket.socket(socket.AF_UNIX)
    worker.connect(str(real))
    threading.Thread(target=answers, args=(worker, asker, mark)).start()
    threading.Thread(target=questions, args=(asker, worker)).start()
    return True


def main(path: Path, mark: Path) -> None:
    """Listen at `path` while the mark exists."""
    real, ours = path.with_suffix(".real"), path.with_suffix(".gate")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(ours))
    listener.listen()
    listener.settimeout(0.02)
    real.hardlink_to(path)
    ours.replace(path)
    mark.touch()
    while mark.exists():
        take(listener, real, mark)
    ours.hardlink_to(real)
    ours.replace(path)
    while take(listener, real, mark):  # what came before that
        pass
    real.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
