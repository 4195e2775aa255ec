"""Client of one repository: manifests, blobs and tags, each hashed on arrival."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import requests

from vldock.host.errors import Damaged, RegistryFailed
from vldock.host.registry.answer import in_one_line, integer_header, parse_json, reason_text
from vldock.host.registry.reference import DIGEST
from vldock.host.registry.transport import Http
from vldock.host.util.retry import LOST, RetryableError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
LISTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
ACCEPT = ", ".join((OCI_MANIFEST, DOCKER_MANIFEST, *LISTS))
CHUNK = 1 << 20
PART = 16 << 20  # bytes of one PATCH: what a lost connection costs
WHOLE = "a manifest of the OCI image specification"


@dataclass(frozen=True)
class Descriptor:
    """Reference to a blob in a manifest; `size` in bytes."""

    digest: str
    size: int
    media_type: str

    def as_json(self) -> dict[str, Any]:
        """Return the descriptor as a manifest's JSON."""
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}

    @classmethod
    def of(cls, content: bytes, media_type: str) -> Descriptor:
        """Return the descriptor of these bytes."""
        return cls(sha256(content), len(content), media_type)


@dataclass(frozen=True)
class Manifest:
    """A manifest's bytes, never serialised again: its digest is theirs."""

    raw: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """'sha256:...' of the bytes."""
        return sha256(self.raw)

    @property
    def content(self) -> dict[str, Any]:
        """Its JSON object; raises Damaged where it is none."""
        content = parse_json(self.raw)
        if not isinstance(content, dict):
            raise self._damaged(repr(self.raw[:200]))
        return content

    @property
    def config(self) -> Descriptor:
        """The config blob; Damaged for a list of images."""
        return self._descriptor(self.content.get("config"))

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layer blobs, from the base up."""
        return tuple(map(self._descriptor, self._listed("layers")))

    @property
    def images(self) -> tuple[str, ...]:
        """The digests in a list of images."""
        listed = [image.get("digest") for image in self._listed("manifests") if isinstance(image, dict)]
        return tuple(in_one_line(str(digest)) for digest in listed)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once."""
        return tuple({blob.digest: blob for blob in (self.config, *self.layers)}.values())

    def _listed(self, field: str) -> list[Any]:
        listed = self.content.get(field)
        if not isinstance(listed, list):
            raise self._damaged(f'"{field}": {listed!r}')
        return listed

    def _descriptor(self, raw: Any) -> Descriptor:
        fields = raw if isinstance(raw, dict) else {}
        digest, size, kind = (fields.get(key) for key in ("digest", "size", "mediaType"))
        named = isinstance(digest, str) and DIGEST.match(digest) and isinstance(kind, str)
        if not (named and type(size) is int and size >= 0):
            raise self._damaged(repr(raw))
        return Descriptor(str(digest), size, str(kind))

    def _damaged(self, what: str) -> Damaged:
        return Damaged(f"manifest {self.digest} says {what[:400]}", expected=WHOLE, hint="promote the image again")


def sha256(content: bytes) -> str:
    """Return 'sha256:...' of these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Remote:
    """A repository in a registry."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.part = PART  # bytes of one request, less once the registry has refused so many
        self.repository = http.repository
        self._base = f"/v2/{self.repository.name}"

    def manifest(self, reference: str) -> Manifest | None:
        """Return the manifest of a tag or digest, or None.

        Raises Damaged for bytes of another digest.
        """
        answer = self.http.request(
            "GET", f"{self._base}/manifests/{reference}", ok=(200, 404), headers={"Accept": ACCEPT}
        )
        if answer.status_code == 404:
            return None
        body = parse_json(answer.content)
        kind = answer.headers.get("Content-Type") or (body.get("mediaType") if isinstance(body, dict) else "")
        found = Manifest(answer.content, in_one_line(str(kind).partition(";")[0]))
        if reference.startswith("sha256:") and found.digest != reference:
            raise Damaged(f"{self.repository}@{reference}: the registry gave other bytes: {found.digest}")
        if not isinstance(body, dict):
            raise RegistryFailed(
                f"{self.repository}:{reference}: no manifest came: {reason_text(answer)}", expected=WHOLE
            )
        return found

    def put_manifest(self, manifest: Manifest, reference: str) -> None:
        """Store a manifest under its digest or a tag; raises RegistryFailed.

        Its blobs must be there.
        """
        path, headers = f"{self._base}/manifests/{reference}", {"Content-Type": manifest.media_type}
        answer = self.http.request("PUT", path, ok=(200, 201, 202), data=manifest.raw, headers=headers)
        stored = in_one_line(answer.headers.get("Docker-Content-Digest", manifest.digest))
        if stored != manifest.digest:
            raise RegistryFailed(f"{self.repository}:{reference}: stored as {stored}", expected=manifest.digest)

    def has(self, blob: Descriptor) -> bool:
        """Return whether a blob is there in its full size."""
        answer = self.http.request("HEAD", f"{self._base}/blobs/{blob.digest}", ok=(200, 404))
        return answer.status_code == 200 and integer_header(answer, "Content-Length") in (None, blob.size)

    def read(self, blob: Descriptor) -> bytes:
        """Return a small blob; raises Damaged where it is missing or other bytes."""

        def once() -> bytes:
            with self._open(blob) as answer:
                return b"".join(self._stream(answer))

        content = self.http.retry(once, what=f"blob {blob.digest}")
        if sha256(content) != blob.digest:
            raise self._damaged(blob, f"its content is {sha256(content)}")
        return content

    def fetch(self, blob: Descriptor, sink: IO[bytes]) -> None:
        """Write a blob to `sink`, restarting when the connection breaks.

        Raises Damaged as `read` does.
        """

        def once() -> str:
            digest = hashlib.sha256()
            sink.seek(0)
            sink.truncate()
            with self._open(blob) as answer:
                for chunk in self._stream(answer):
                    digest.update(chunk)
                    sink.write(chunk)
            return f"sha256:{digest.hexdigest()}"

        seen = self.http.retry(once, what=f"blob {blob.digest}")
        if seen != blob.digest:
            raise self._damaged(blob, f"its content is {seen}")
        sink.seek(0)

    def _open(self, blob: Descriptor) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        answer = self.http.request_once(
            "GET", f"{self._base}/blobs/{blob.digest}", ok=(200, 404), stream=True, headers=headers
        )
        if answer.status_code == 404:
            raise self._damaged(blob, "it is missing")
        return answer

    def _stream(self, answer: requests.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_content(CHUNK)
        except LOST as error:
            raise RetryableError(str(error)) from error

    def _damaged(self, blob: Descriptor, what: str) -> Damaged:
        return Damaged(
            f"{self.repository}: blob {blob.digest}: {what}",
            expected="every blob a manifest names, whole",
            hint="promote the image again from the engine or from another registry",
        )
