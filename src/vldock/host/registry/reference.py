"""Names of images: engine:NAME, registry:HOST/NAME:TAG, tar:FILE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vldock.common.errors import UsageError

HOST = re.compile(r"^(?:localhost|[A-Za-z0-9.-]+\.[A-Za-z0-9-]+|\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+(?=:))(?::\d+)?$")
NAME = re.compile(r"^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$")
TAG = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
LOOPBACK = re.compile(r"^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$")
DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Repository:
    """A repository in a registry: 'registry.example:5000' and 'team/vldock'."""

    host: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def address(self) -> str:
        """Host that answers; Docker Hub's differs from its name."""
        return DOCKER_HUB.get(self.host, self.host)

    @property
    def loopback(self) -> bool:
        """Whether the registry is on this machine, where plain http is allowed."""
        return LOOPBACK.match(self.host) is not None


@dataclass(frozen=True)
class RemoteImage:
    """An image in a registry; `reference` is a tag or a digest."""

    repository: Repository
    reference: str

    def __str__(self) -> str:
        return f"{self.repository}{'@' if DIGEST.match(self.reference) else ':'}{self.reference}"


@dataclass(frozen=True)
class Source:
    """Source of an image: engine, registry or saved tar.

    Exactly one of the three is set.
    """

    kind: Literal["engine", "registry", "tar"]
    text: str
    remote: RemoteImage | None = None
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.text}"


def parse_source(text: str) -> Source:
    """Parse SRC: engine:NAME, registry:NAME or tar:FILE.

    Without a prefix a name with a host in it is a registry's.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind == "tar":
        return Source("tar", rest, path=Path(rest))
    if colon and kind == "engine":
        return Source("engine", rest)
    if colon and kind == "registry":
        return Source("registry", rest, remote=parse_remote(rest))
    if "/" in text and HOST.match(text.partition("/")[0]):
        return Source("registry", text, remote=parse_remote(text))
    return Source("engine", text)


def parse_remote(text: str) -> RemoteImage:
    """Parse HOST/NAME:TAG or HOST/NAME@sha256:...; raises UsageError for anything else."""
    repository, tags = parse_destination(text)
    if len(tags) != 1:
        raise UsageError(f"{text}: no tag", expected="HOST/NAME:TAG or HOST/NAME@sha256:DIGEST")
    return RemoteImage(repository, tags[0])


def parse_destination(text: str) -> tuple[Repository, tuple[str, ...]]:
    """Parse HOST/NAME[:TAG,TAG...] or HOST/NAME@DIGEST; raises UsageError for anything else."""
    host, _, path = text.partition("/")
    name, mark, rest = path.partition("@")
    if not mark:
        name, mark, rest = path.partition(":")
    references = tuple(dict.fromkeys(rest.split(","))) if mark else ()
    good = all(DIGEST.match(reference) or TAG.match(reference) for reference in references)
    if not (HOST.match(host) and NAME.match(name) and good and len(name) < 256):
        raise UsageError(
            f"{text}: not an image in a registry",
            expected="HOST/NAME, HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, the host with a dot or a port",
            hint="docker.io/USER/NAME for Docker Hub",
        )
    return Repository(host, name), references
