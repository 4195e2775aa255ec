"""A Hugging Face Hub on loopback with one file; a download pauses midway."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40
PIECE = 1 << 16


class LoopbackHub(ThreadingHTTPServer):
    """Server of `content`, with a pause in the first download.

    It pauses after `pause_at` bytes until `go_on` is set.
    """

    daemon_threads = True

    def __init__(self, content: bytes, *, pause_at: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.digest = hashlib.sha256(content).hexdigest()
        self.pause_at = pause_at
        self.paused, self.go_on = threading.Event(), threading.Event()
        self.downloads = 0

    @property
    def url(self) -> str:
        """The endpoint, for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients are killed on purpose."""


class Handler(BaseHTTPRequestHandler):
    """Answers of the Hub to HEAD and GET.

    HEAD sends commit, digest and size; GET sends the bytes of the Range.
    """

    server: LoopbackHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Send commit, digest and size."""
        self._head(200, len(self.server.content))

    def do_GET(self) -> None:
        """Send the file, or from the byte of a Range header on."""
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        content = self.server.content
        self._head(206 if begin else 200, len(content) - begin, begin)
        self.server.downloads += 1
        first = self.server.downloads == 1
        for start in range(begin, len(content), PIECE):
            if first and start >= self.server.pause_at:
                self.server.paused.set()
                self.server.go_on.wait()
            self.wfile.write(content[start : start + PIECE])

    def _head(self, status: int, length: int, begin: int = 0) -> None:
        self.send_response(status)
        for name, value in (
            ("X-Repo-Commit", COMMIT),
            ("ETag", f'"{self.server.digest}"'),
            ("Content-Length", str(length)),
            ("Accept-Ranges", "bytes"),
        ):
            self.send_header(name, value)
        if begin:
            total = len(self.server.content)
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def serving(content: bytes, *, pause_at: int) -> Iterator[LoopbackHub]:
    """Yield a hub that serves until the block ends."""
    hub = LoopbackHub(content, pause_at=pause_at)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        hub.shutdown()
        thread.join()
        hub.server_close()
