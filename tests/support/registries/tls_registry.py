"""Registry in memory over TLS on loopback.

A plain port beside it must receive nothing.
"""

from __future__ import annotations

import datetime
import io
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.registries.fake_registry import FakeRegistry

NAMES = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
# Changes an answer before it is sent; takes the request and the answer.
EditAnswer = Callable[[requests.PreparedRequest, requests.Response], None]


def certificate(folder: Path) -> Path:
    """Write a key and a self-signed certificate for this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vldock test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "localhost.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def serving(
    registry: FakeRegistry | HiddenTls, pem: Path, *, edit: EditAnswer = lambda request, answer: None
) -> Iterator[int]:
    """Yield the port of a registry that serves https while the block lasts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(registry, edit)) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _handler(registry: FakeRegistry | HiddenTls, edit: EditAnswer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = f"https://{self.headers['Host']}{self.path}"
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = requests.Request(self.command, url, headers=dict(self.headers), data=body).prepare()
            answer = registry.send(request)
            edit(request, answer)
            content = answer.raw.read()
            sized = {"Content-Length": str(len(content))} | dict(answer.headers)
            self.send_response(answer.status_code)
            for name, value in sized.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *args: Any) -> None:
            """Print nothing."""

    return Handler


@dataclass
class PlainListener:
    """A port without TLS; `received` is the first bytes of each connection."""

    port: int
    received: list[bytes] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[PlainListener]:
    """Yield a listener at port 80, or at a free port."""
    try:
        server = socket.create_server(("127.0.0.1", 80))
    except OSError:
        server = socket.create_server(("127.0.0.1", 0))
    listener = PlainListener(int(server.getsockname()[1]))

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                listener.received.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


class HiddenTls:
    """Registry behind a TLS proxy without X-Forwarded-Proto.

    The registry is at a port of this machine.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """Pass a request on, with its Host header unchanged."""
        url = f"http://127.0.0.1:{self.port}{request.path_url}"
        answer = requests.request(
            str(request.method), url, headers=request.headers, data=request.body, allow_redirects=False, timeout=30
        )
        length = answer.headers.get("Content-Length")
        answer.raw = io.BytesIO(answer.content)
        for name in ("Connection", "Transfer-Encoding", "Content-Length"):
            answer.headers.pop(name, None)
        if request.method == "HEAD" and length:
            answer.headers["Content-Length"] = length
        return answer
