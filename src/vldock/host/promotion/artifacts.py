"""Artifacts beside an image: receipts, SBOM and the promotion log.

In a registry, an artifact is an OCI manifest whose subject is the image, so a registry with the referrers API lists it;
its tag, sha256-<digest>.<name>, finds it in every registry.
https://github.com/opencontainers/distribution-spec (referrers)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from vldock.common.filesystem.atomic import write_bytes
from vldock.host.errors import RegistryFailed
from vldock.host.registry.client import OCI_MANIFEST, Manifest, Remote, sha256
from vldock.host.registry.upload import upload_bytes

EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
TYPES = {
    "receipt": "application/vnd.dsse.envelope.v1+json",
    "sbom": "application/vnd.cyclonedx+json",
    "promotions": "application/jsonl",
}
LOG_TAG = "promotions"
TITLE = "org.opencontainers.image.title"


class ArtifactStore(Protocol):
    """Store of the artifacts of an image; `keeps_log`: of the promotion log too."""

    keeps_log: bool

    def read(self, digest: str, name: str) -> list[bytes]:
        """Return the files of one kind beside an image.

        The kind is 'receipt' or 'sbom'; the image has this manifest digest.
        """

    def add(self, subject: Manifest, name: str, contents: Sequence[bytes]) -> None:
        """Add files of one kind beside an image; keep existing ones."""

    def read_log(self) -> bytes:
        """Return the stored promotion log."""

    def put_log(self, content: bytes) -> None:
        """Store the promotion log."""


class RegistryArtifacts:
    """Artifacts in the repository of the image."""

    keeps_log = True

    def __init__(self, remote: Remote) -> None:
        self.remote = remote

    def read(self, digest: str, name: str) -> list[bytes]:
        """See ArtifactStore; empty where there is no such artifact."""
        return [self.remote.read(layer) for layer in self._layers(artifact_tag(digest, name))]

    def _layers(self, tag: str) -> Sequence[Any]:
        found = self.remote.manifest(tag)
        return found.layers if found else ()

    def add(self, subject: Manifest, name: str, contents: Sequence[bytes]) -> None:
        """Add files to an artifact; see ArtifactStore.

        The artifact is rewritten with its old files and the new ones.
        """
        tag = artifact_tag(subject.digest, name)
        stored = {layer.digest for layer in self._layers(tag)}
        if all(sha256(content) in stored for content in contents):
            return
        old = self.read(subject.digest, name)
        every = old + [content for content in contents if sha256(content) not in stored]
        self._put(tag, name, every, subject)

    def read_log(self) -> bytes:
        """See ArtifactStore."""
        return b"".join(self.remote.read(layer) for layer in self._layers(LOG_TAG))

    def put_log(self, content: bytes) -> None:
        """See ArtifactStore."""
        if self.read_log() != content:
            self._put(LOG_TAG, "promotions", [content], None)

    def _put(self, tag: str, name: str, contents: Sequence[bytes], subject: Manifest | None) -> None:
        config = upload_bytes(self.remote, b"{}", EMPTY_TYPE)
        layers = []
        for content in contents:
            blob = upload_bytes(self.remote, content, TYPES[name])
            layers.append(blob.as_json() | {"annotations": {TITLE: file_name(name, content)}})
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": TYPES[name],
            "config": config.as_json(),
            "layers": layers,
        }
        if subject:
            size = len(subject.raw)
            manifest["subject"] = {"mediaType": subject.media_type, "digest": subject.digest, "size": size}
        try:
            self.remote.put_manifest(Manifest(json.dumps(manifest, indent=1).encode(), OCI_MANIFEST), tag)
        except RegistryFailed as error:
            raise RegistryFailed(
                error.message, expected=error.expected, hint=f"{error.hint or ''} (--sidecar keeps the {name} here)"
            ) from error


class FolderArtifacts:
    """Artifacts as local files, for registries that accept images only.

    The log has its own file already.
    """

    keeps_log = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, digest: str, name: str) -> list[bytes]:
        """See ArtifactStore."""
        return [path.read_bytes() for path in sorted(self._folder_of(digest).glob(f"{name}-*.json"))]

    def _folder_of(self, digest: str) -> Path:
        return self.folder / digest.replace(":", "-")

    def add(self, subject: Manifest, name: str, contents: Sequence[bytes]) -> None:
        """See ArtifactStore."""
        folder = self._folder_of(subject.digest)
        for content in contents:
            write_bytes(folder / file_name(name, content), content)

    def read_log(self) -> bytes:
        """See ArtifactStore; the only log is the local one."""
        return b""

    def put_log(self, content: bytes) -> None:
        """See ArtifactStore; does nothing."""


def artifact_tag(digest: str, name: str) -> str:
    """Return the tag of an image's artifact: sha256-<hex>.<name>."""
    return f"{digest.replace(':', '-')}.{name}"


def file_name(name: str, content: bytes) -> str:
    """Return the file name of an artifact."""
    return f"{name}-{sha256(content)[7:19]}." + ("jsonl" if name == "promotions" else "json")
