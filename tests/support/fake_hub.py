"""A Hugging Face Hub and a benchmark host on a real port of this machine, which misbehaves on request.

It speaks /api/models/REPO/revision/REV (and /tree/REV), /REPO/resolve/REV/FILE with HEAD, GET, Range, X-Repo-Commit,
X-Linked-Etag, X-Linked-Size and a redirect of LFS files to /cdn/, and /tsv/NAME.tsv. `faults[path]` is a list of what
the next answers for a path do instead, one each.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LFS = (".safetensors", ".bin", ".model")
API = re.compile(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
RANGE = re.compile(r"bytes=(\d+)-")
TOKEN = "hf_a_token_of_the_tests"


def git_id(content: bytes) -> str:
    """Return the id git gives these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def etag(name: str, content: bytes) -> str:
    """Return the name of the blob: sha256 of an LFS file, git's id of another."""
    return hashlib.sha256(content).hexdigest() if name.endswith(LFS) else git_id(content)


class Server(ThreadingHTTPServer):
    """Threads that end with the test, and no word on a caller that hung up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: hanging up is what is tested."""


class FakeHub:
    """Repositories, other files by path, and faults; what was asked for is in `requests`."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.gated: set[str] = set()
        self.faults: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sums_in_listing = True
        self.held: threading.Event | None = None  # where there is one, half a body is sent until it is set
        self.server = Server(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def asked(self, path: str, method: str = "GET") -> list[dict[str, str]]:
        """Return the headers of every request for a path."""
        return [headers for seen, there, headers in self.requests if (seen, there) == (method, path)]


@contextmanager
def running() -> Iterator[FakeHub]:
    """Yield a hub that listens."""
    hub = FakeHub()
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, dict(self.headers)))
            waiting = hub.faults.get(path)
            fault = waiting.pop(0) if waiting and self.command == "GET" else ""
            with suppress(OSError):  # the other side hung up
                self.route(path, fault)

        def route(self, path: str, fault: str) -> None:
            if fault[:3].isdigit():
                code, _, after = fault.partition(" ")
                extra = {"Retry-After": after} if after else {}
                gated = {"X-Error-Code": "GatedRepo"} if code == "403" else {}
                self.send(int(code), b"", extra | gated)
            elif match := API.fullmatch(path):
                self.api(*match.groups())
            elif match := RESOLVE.fullmatch(path):
                self.resolve(*match.groups(), fault=fault)
            elif path.startswith("/cdn/"):
                _, _, repo, name = path.split("/", 3)
                self.body(hub.repos[repo.replace("--", "/", 1)][name], fault)
            elif path in hub.files:
                self.body(hub.files[path], fault)
            else:
                self.send(404, b"not here")

        def denied(self, repo: str) -> bool:
            if repo in hub.repos and (repo not in hub.gated or TOKEN in self.headers.get("Authorization", "")):
                return False
            kind = "GatedRepo" if repo in hub.repos else "RepoNotFound"
            self.send(401, b"", {"X-Error-Code": kind})
            return True

        def api(self, repo: str, kind: str, revision: str) -> None:
            if self.denied(repo):
                return
            if revision not in ("main", COMMIT):
                self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
                return
            entries = [listed(name, content, tree=kind == "tree") for name, content in hub.repos[repo].items()]
            if kind == "revision" and not hub.sums_in_listing:
                entries = [{"rfilename": entry["rfilename"]} for entry in entries]
            value = entries if kind == "tree" else {"id": repo, "sha": COMMIT, "siblings": entries}
            self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def resolve(self, repo: str, revision: str, name: str, *, fault: str) -> None:
            if self.denied(repo):
                return
            if name not in hub.repos[repo]:
                self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            content = hub.repos[repo][name]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag(name, content)}"'}
            if not name.endswith(LFS):
                self.body(content, fault, headers)
                return
            linked = {"X-Linked-Etag": f'"{etag(name, content)}"', "X-Linked-Size": str(len(content))}
            hub.faults.setdefault(f"/cdn/{repo.replace('/', '--')}/{name}", []).extend([fault] if fault else [])
            port = hub.server.server_address[1]  # another host by name, as the real one's storage is
            where = f"http://localhost:{port}/cdn/{repo.replace('/', '--')}/{name}?Signature=not-to-be-printed"
            self.send(302, b"", {"X-Repo-Commit": COMMIT, **linked, "Location": where})

        def body(self, content: bytes, fault: str, headers: dict[str, str] | None = None) -> None:
            asked = RANGE.fullmatch(self.headers.get("Range", ""))
            start = int(asked[1]) if asked and fault != "ignores range" else 0
            if start and start >= len(content):
                self.send(416, b"")
                return
            sent, length = misdone(content[start:], fault)
            extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            self.send(206 if start else 200, sent, (headers or {}) | extra, length=length, fault=fault)

        def send(
            self, code: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1, fault: str = ""
        ) -> None:
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
            self.end_headers()
            if self.command == "HEAD":
                return
            pieces = 8 if hub.held or fault == "slow" else 1
            size = max(1, -(-len(body) // pieces))
            for place in range(0, len(body), size):
                self.wfile.write(body[place : place + size])
                self.wfile.flush()
                if fault == "slow" and place == 0:
                    time.sleep(0.08)
                elif hub.held and place < len(body) // 2 <= place + size:
                    hub.held.wait()
            if fault == "cut":
                self.hang_up()

        def hang_up(self) -> None:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def misdone(content: bytes, fault: str) -> tuple[bytes, int]:
    """Return what is sent of `content`, and the length that is promised (-1: what is sent)."""
    half = len(content) // 2
    if fault == "cut":
        return content[:half], len(content)
    if fault == "wrong bytes":
        return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :], -1
    if fault == "too short":
        return content[:half], -1
    if fault == "too long":
        return content + b"more", -1
    return content, -1


def listed(name: str, content: bytes, *, tree: bool) -> dict[str, Any]:
    """Return a file as the Hub's API lists it."""
    lfs = {"size": len(content), "pointerSize": 130}
    lfs |= {"oid" if tree else "sha256": hashlib.sha256(content).hexdigest()}
    entry: dict[str, Any] = {"size": len(content), "lfs": lfs} if name.endswith(LFS) else {"size": len(content)}
    if tree:
        return {"type": "file", "path": name, "oid": git_id(content), **entry}
    return {"rfilename": name, "blobId": git_id(content), **entry}
