"""Registry in memory, as an adapter of requests.

It can die at any request. It enforces the rules of a real one: ranges of uploads, digests, blobs before their
manifest.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter

from vldock.host.registry.client import Remote, sha256
from vldock.host.registry.reference import Repository
from vldock.host.registry.transport import Http
from vldock.host.util.console import silent
from vldock.host.util.retry import RetryPolicy

HOST = "registry.test"
MANIFESTS = re.compile(r"^/v2/(.+)/manifests/(.+)$")
BLOBS = re.compile(r"^/v2/(.+)/blobs/(sha256:.+)$")
UPLOADS = re.compile(r"^/v2/(.+)/blobs/uploads/(.*)$")


class Killed(BaseException):
    """kill -9, as the process sees it: nothing catches it."""


class FakeRegistry(BaseAdapter):
    """Blobs, manifests and tags of repositories; `trouble(number, request)` may answer or raise instead."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.trouble: Callable[[int, requests.PreparedRequest], requests.Response | None] = lambda n, r: None
        self.die_at: int | None = None
        self.die_after_effect = False

    def remote(self, name: str, *, attempts: int = 3) -> Remote:
        """Return a client of one repository that retries without waiting."""
        session = requests.Session()
        session.trust_env = False  # proxies and .netrc are looked up at each request otherwise
        session.mount(f"https://{HOST}/", self)
        patience = RetryPolicy(attempts=attempts, longest=0, first=0)
        return Remote(Http(Repository(HOST, name), patience=patience, say=silent, session=session))

    def state(self, name: str) -> dict[str, str]:
        """Return the tags of a repository and their digests."""
        return {tag: digest for (repository, tag), digest in self.tags.items() if repository == name}

    def is_complete(self, name: str, digest: str) -> bool:
        """Return whether a manifest and every blob it names are stored."""
        if (name, digest) not in self.manifests:
            return False
        content = json.loads(self.manifests[name, digest][0])
        return all((name, blob["digest"]) in self.blobs for blob in (content["config"], *content["layers"]))

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        """Answer one request."""
        number = len(self.requests)
        self.requests.append((str(request.method), urlsplit(str(request.url)).path))
        if number == self.die_at and not self.die_after_effect:
            raise Killed
        answer = self.trouble(number, request)
        if answer is None:  # a response of 4xx is false in itself
            answer = self._answer(request)
        if number == self.die_at:
            raise Killed
        return answer

    def close(self) -> None:
        """Nothing to close."""

    def _answer(self, request: requests.PreparedRequest) -> requests.Response:
        parts = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for pattern, work in ((UPLOADS, self._upload), (MANIFESTS, self._manifest), (BLOBS, self._blob)):
            if match := pattern.match(parts.path):
                return work(request, query, *match.groups())
        return response(request, 404)

    def _upload(self, request: Any, query: dict[str, str], name: str, upload: str) -> requests.Response:
        if request.method == "POST":
            source = (query.get("from", ""), query.get("mount", ""))
            if source in self.blobs:
                self.blobs[name, query["mount"]] = self.blobs[source]
                return response(request, 201)
            upload = f"u{len(self.uploads)}"
            self.uploads[upload] = b""
        elif upload not in self.uploads:
            return response(request, 404)
        elif request.method == "PATCH":
            if not request.headers["Content-Range"].startswith(f"{len(self.uploads[upload])}-"):
                return response(request, 416)
            self.uploads[upload] += body(request)
        elif request.method == "PUT":
            content = self.uploads.pop(upload) + body(request)
            if sha256(content) != query["digest"]:
                return response(request, 400)
            self.blobs[name, query["digest"]] = content
            return response(request, 201)
        elif request.method == "DELETE":
            del self.uploads[upload]
            return response(request, 204)
        size = len(self.uploads[upload])
        headers = {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Range": f"0-{max(size - 1, 0)}"}
        return response(request, 204 if request.method == "GET" else 202, headers=headers)

    def _manifest(self, request: Any, query: dict[str, str], name: str, reference: str) -> requests.Response:
        if request.method == "PUT":
            raw = body(request)
            digest, content = sha256(raw), json.loads(raw)
            if any((name, blob["digest"]) not in self.blobs for blob in (content["config"], *content["layers"])):
                return response(request, 400, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}')
            self.manifests[name, digest] = (raw, request.headers["Content-Type"])
            if not reference.startswith("sha256:"):
                self.tags[name, reference] = digest
            return response(request, 201, headers={"Docker-Content-Digest": digest})
        digest = self.tags.get((name, reference), reference)
        if (name, digest) not in self.manifests:
            return response(request, 404)
        raw, kind = self.manifests[name, digest]
        return response(request, 200, raw, {"Content-Type": kind, "Docker-Content-Digest": digest})

    def _blob(self, request: Any, query: dict[str, str], name: str, digest: str) -> requests.Response:
        if (name, digest) not in self.blobs:
            return response(request, 404)
        content = self.blobs[name, digest]
        sized = {"Content-Length": str(len(content))}
        return response(request, 200, b"" if request.method == "HEAD" else content, sized)


def body(request: requests.PreparedRequest) -> bytes:
    """Return the body of a request as bytes."""
    sent = request.body or b""
    return sent.encode() if isinstance(sent, str) else bytes(sent)


def response(
    request: requests.PreparedRequest, status: int, content: bytes = b"", headers: dict[str, str] | None = None
) -> requests.Response:
    """Return a response as requests makes it."""
    made = requests.Response()
    made.status_code, made.raw, made.request, made.url = status, io.BytesIO(content), request, str(request.url)
    made.reason = f"status {status}"
    made.headers.update(headers or {})
    return made
