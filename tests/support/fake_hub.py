"""Hugging Face Hub and benchmark host on loopback, with faults.

Faults are on request; a data set's repository is datasets/ORG/NAME. It serves /api/{models,datasets}/REPO/revision/REV
(and /tree/REV), /REPO/resolve/REV/FILE with HEAD, GET, Range, X-Repo-Commit, X-Linked-Etag, X-Linked-Size and a
redirect of LFS files to /cdn/, and /tsv/NAME.tsv. `faults[path]` lists faults of the next answers, one each.
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
LFS = (".safetensors", ".bin", ".model", ".parquet")
API = re.compile(r"/api/(?:models/)?((?:datasets/)?[^/]+/[^/]+)/(revision|tree)/(.+)")
RESOLVE = re.compile(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)")
RANGE = re.compile(r"bytes=(\d+)-")
TOKEN = "hf_a_token_of_the_tests"


def git_id(content: bytes) -> str:
    """Return git's blob id of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def etag(name: str, content: bytes) -> str:
    """Return the blob's name: sha256 of an LFS file, git's id of another."""
    return hashlib.sha256(content).hexdigest() if name.endswith(LFS) else git_id(content)


class Server(ThreadingHTTPServer):
    """A server of one hub; its threads end with the test."""

    daemon_threads = True

    def __init__(self, hub: FakeHub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients hang up on purpose."""


class FakeHub:
    """Fake hub: repositories, other files by path, faults, requests (method, path, headers)."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.branches: dict[str, str] = {"main": COMMIT, COMMIT: COMMIT}
        self.gated: set[str] = set()
        self.faults: dict[str, list[str]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sums_in_listing = True
        self.held: threading.Event | None = None  # the second half of each body waits for it
        self.server = Server(self)

    @property
    def url(self) -> str:
        """The hub's address."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def requests_for(self, path: str, method: str = "GET") -> list[dict[str, str]]:
        """Return the headers of every request for a path."""
        return [headers for verb, where, headers in self.requests if (verb, where) == (method, path)]


@contextmanager
def running() -> Iterator[FakeHub]:
    """Yield a listening hub."""
    hub = FakeHub()
    thread = threading.Thread(target=hub.server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.server.shutdown()
        hub.server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers of the hub: faults, API listings, repository files, LFS storage, plain files."""

    server: Server
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        """The hub of this server."""
        return self.server.hub

    def answer(self) -> None:
        """Record the request, take the next fault, and answer."""
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, dict(self.headers)))
        waiting = self.hub.faults.get(path)
        fault = waiting.pop(0) if waiting and self.command == "GET" else ""
        with suppress(OSError):  # the other side hung up
            self.route(path, fault)

    do_HEAD = do_GET = answer  # noqa: N815 - http.server's names

    def route(self, path: str, fault: str) -> None:
        """Call the method of this kind of request."""
        if fault[:3].isdigit():
            self.send_fault(fault)
        elif match := API.fullmatch(path):
            self.send_listing(*match.groups())
        elif match := RESOLVE.fullmatch(path):
            self.send_repository_file(*match.groups(), fault=fault)
        elif path.startswith("/cdn/"):
            _, _, repo, name = path.split("/", 3)
            self.send_content(self.hub.repos[repo.replace("--", "/")][name], fault)
        elif path in self.hub.files:
            self.send_content(self.hub.files[path], fault)
        else:
            self.send(404, b"not here")

    def send_fault(self, fault: str) -> None:
        """Send an empty answer: "CODE" or "CODE RETRY_AFTER"; 403 is a gated repository's."""
        code, _, after = fault.partition(" ")
        retry = {"Retry-After": after} if after else {}
        gated = {"X-Error-Code": "GatedRepo"} if code == "403" else {}
        self.send(int(code), b"", retry | gated)

    def denied(self, repo: str) -> bool:
        """Send 401 for an absent or gated repository; return whether sent."""
        repos, gated = self.hub.repos, self.hub.gated
        if repo in repos and (repo not in gated or TOKEN in self.headers.get("Authorization", "")):
            return False
        self.send(401, b"", {"X-Error-Code": "GatedRepo" if repo in repos else "RepoNotFound"})
        return True

    def send_listing(self, repo: str, kind: str, revision: str) -> None:
        """Send a repository's files as JSON; `kind` is revision or tree."""
        if self.denied(repo):
            return
        if revision not in self.hub.branches:
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        files = self.hub.repos[repo].items()
        entries = [listing_entry(name, content, tree=kind == "tree") for name, content in files]
        if kind == "revision" and not self.hub.sums_in_listing:
            entries = [{"rfilename": entry["rfilename"]} for entry in entries]
        value = entries if kind == "tree" else {"id": repo, "sha": self.hub.branches[revision], "siblings": entries}
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send_repository_file(self, repo: str, revision: str, name: str, *, fault: str) -> None:
        """Send a repository file; redirect an LFS file, and fault, to /cdn/."""
        if self.denied(repo):
            return
        if name not in self.hub.repos[repo]:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        content = self.hub.repos[repo][name]
        tag = f'"{etag(name, content)}"'
        if not name.endswith(LFS):
            self.send_content(content, fault, {"X-Repo-Commit": COMMIT, "ETag": tag})
            return
        path = f"/cdn/{repo.replace('/', '--')}/{name}"
        self.hub.faults.setdefault(path, []).extend([fault] if fault else [])
        # another host by name, as the real one's storage is
        location = f"http://localhost:{self.server.server_port}{path}?Signature=not-to-be-printed"
        linked = {"X-Linked-Etag": tag, "X-Linked-Size": str(len(content))}
        self.send(302, b"", {"X-Repo-Commit": COMMIT, **linked, "Location": location})

    def send_content(self, content: bytes, fault: str, headers: dict[str, str] | None = None) -> None:
        """Send the requested bytes, damaged by the fault.

        They begin at the start of the Range header.
        """
        requested = RANGE.fullmatch(self.headers.get("Range", ""))
        start = int(requested[1]) if requested and fault != "ignores range" else 0
        if start and start >= len(content):
            self.send(416, b"")
            return
        body, length = damage(content[start:], fault)
        extra = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self.send(206 if start else 200, body, (headers or {}) | extra, length=length, fault=fault)

    def send(
        self, code: int, body: bytes, headers: dict[str, str] | None = None, length: int = -1, fault: str = ""
    ) -> None:
        """Send an answer, in eight pieces if slow or held.

        `length` is the Content-Length declared.
        """
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        if self.command == "HEAD":
            return
        held = self.hub.held
        size = max(1, -(-len(body) // (8 if held or fault == "slow" else 1)))
        for place in range(0, len(body), size):
            self.wfile.write(body[place : place + size])
            self.wfile.flush()
            if fault == "slow" and place == 0:
                time.sleep(0.08)
            elif held and place < len(body) // 2 <= place + size:
                held.wait()
        if fault == "cut":
            self.hang_up()

    def hang_up(self) -> None:
        """Reset the connection."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


def damage(content: bytes, fault: str) -> tuple[bytes, int]:
    """Return the bytes to send, and their declared Content-Length (-1: their own)."""
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


def listing_entry(name: str, content: bytes, *, tree: bool) -> dict[str, Any]:
    """Return a file as the Hub's API lists it."""
    lfs = {"size": len(content), "pointerSize": 130}
    lfs |= {"oid" if tree else "sha256": hashlib.sha256(content).hexdigest()}
    entry: dict[str, Any] = {"size": len(content), "lfs": lfs} if name.endswith(LFS) else {"size": len(content)}
    if tree:
        return {"type": "file", "path": name, "oid": git_id(content), **entry}
    return {"rfilename": name, "blobId": git_id(content), **entry}
