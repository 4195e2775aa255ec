"""Search for a docker command able to build with BuildKit.

A client below 23 has BuildKit in itself (DOCKER_BUILDKIT=1); from 23 on it needs the buildx plug-in, and says
"BuildKit is enabled but the buildx component is missing" without it. Several may be on one PATH: the first that can is
taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import EnvironmentUnfit
from vldock.host.util.process import Runner, capture

BUILT_IN_BELOW = 23
ELSEWHERE = ("/usr/bin/docker", "/usr/local/bin/docker")
VERSION = re.compile(r"^Docker version (\d+)(\.[^\s,]+)?")


@dataclass(frozen=True)
class DockerCli:
    """A docker command: path, version, BuildKit ('built in', 'buildx', or None)."""

    path: str
    version: str
    buildkit: str | None

    def __str__(self) -> str:
        how = f"BuildKit: {self.buildkit}" if self.buildkit else "no BuildKit: the buildx plug-in is missing"
        return f"{self.path} {self.version} ({how})"


def find_on_path(path: str | None = None) -> Iterator[str]:
    """Yield every executable named docker on PATH, then the usual places.

    Each real file once.
    """
    folders = (path if path is not None else os.environ.get("PATH", "")).split(os.pathsep)
    seen: set[Path] = set()
    for name in (*(f"{folder}/docker" for folder in folders if folder), *ELSEWHERE):
        candidate = Path(name)
        if candidate.is_file() and os.access(candidate, os.X_OK) and candidate.resolve() not in seen:
            seen.add(candidate.resolve())
            yield name


def inspect(path: str, *, run: Runner = capture) -> DockerCli | None:
    """Return the docker command at `path`; None for another program.

    podman answers to the same name.
    """
    answer = run([path, "--version"])
    match = VERSION.match(answer.stdout) if answer.ok else None
    if match is None:
        return None
    version = match.group(0).removeprefix("Docker version ")
    if int(match.group(1)) < BUILT_IN_BELOW:
        return DockerCli(path, version, "built in")
    return DockerCli(path, version, "buildx" if run([path, "buildx", "version"]).ok else None)


def find_installed(candidates: Iterable[str] | None = None, *, run: Runner = capture) -> list[DockerCli]:
    """Return every docker command there is, in the order of PATH."""
    paths = find_on_path() if candidates is None else candidates
    return [cli for cli in (inspect(path, run=run) for path in paths) if cli is not None]


def require_any() -> DockerCli:
    """Return the first docker command, able to build or not.

    Raises EnvironmentUnfit for none.
    """
    found = find_installed()
    if not found:
        raise EnvironmentUnfit("no docker command is installed", hint="vldock engine up")
    return found[0]


def choose(clis: Iterable[DockerCli]) -> DockerCli | None:
    """Return the first command able to build with BuildKit."""
    return next((cli for cli in clis if cli.buildkit), None)


def require_builder(candidates: Iterable[str] | None = None, *, run: Runner = capture) -> DockerCli:
    """Return a docker command able to build with BuildKit.

    Raises EnvironmentUnfit when there is none, naming those that cannot.
    """
    found = find_installed(candidates, run=run)
    cli = choose(found)
    if cli is None:
        raise EnvironmentUnfit(
            "no docker command here can build with BuildKit: " + ("; ".join(map(str, found)) or "none is installed"),
            expected=f"a docker client below {BUILT_IN_BELOW}, or one with the buildx plug-in",
            hint="vldock engine up (as root it installs what is missing), or: apt-get install docker-buildx",
        )
    return cli
