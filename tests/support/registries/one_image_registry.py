"""Registries on loopback: one of an image, one silent.

The first serves one image by digest; the second never answers.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest(content: bytes) -> str:
    """Return sha256:... of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@contextmanager
def serving(layer: bytes) -> Iterator[str]:
    """Yield HOST:PORT/NAME@DIGEST of an image of one layer.

    The layer is a tar, served while the block lasts.
    """
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["bash"], "Env": ["PATH=/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": LAYER, "size": len(layer), "digest": digest(layer)}],
        }
    ).encode()
    held = {digest(blob): (blob, "application/octet-stream") for blob in (config, layer)}
    held[digest(manifest)] = (manifest, MANIFEST)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(held)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}/debian@{digest(manifest)}"
        server.shutdown()
        thread.join()


def _handler(held: dict[str, tuple[bytes, str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def answer(self, *, body: bool) -> None:
            name = self.path.rpartition("/")[2]
            content, kind = (b"{}", "application/json") if self.path == "/v2/" else held.get(name, (b"", ""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", name)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    return Handler


@contextmanager
def silent() -> Iterator[str]:
    """Yield HOST:PORT/NAME@DIGEST of a registry that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}/debian@{digest(b'')}"
