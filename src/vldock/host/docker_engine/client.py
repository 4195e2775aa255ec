"""Connection to the Docker engine, and its status."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import docker_cli
from vldock.host.docker_engine.docker_cli import DockerCli
from vldock.host.errors import error_text

DEFAULT_SOCKET = "/var/run/docker.sock"
PING_SECONDS = 20  # an engine that hangs; one whose machine is busy takes some


@dataclass(frozen=True)
class EngineStatus:
    """Status of the engine; `problem` is None when it answers."""

    endpoint: str
    answers: bool
    version: str | None = None
    storage: str | None = None
    data_root: str | None = None
    cgroup: str | None = None  # in --json only: driver and version
    gpu_runtime: bool = False
    cores: int | None = None
    memory: int | None = None
    problem: str | None = None
    cli: DockerCli | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the lines a person reads."""
        if self.answers:
            first = f"engine: {self.version} answers at {self.endpoint} ({self.storage}, data in {self.data_root})"
        else:
            first = f"engine: none answers at {self.endpoint}: {self.problem}"
        return [first, f"docker command: {self.cli or 'none that can build with BuildKit'}"]


def endpoint() -> str:
    """Return the address of the engine: DOCKER_HOST, or the local socket."""
    return os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"


def socket_path(address: str) -> Path | None:
    """Return the socket's path of a unix:// address; None for any other kind."""
    return Path(address.removeprefix("unix://")) if address.startswith("unix://") else None


def connect(*, address: str | None = None, seconds: float = 60) -> Any:
    """Return a docker SDK client of the engine, after a ping.

    Raises EnvironmentUnfit when the SDK is missing or no engine answers.
    """
    try:
        # A folder named docker/ on sys.path makes a bare `import docker` succeed without the SDK: import from inside.
        from docker.client import DockerClient
        from docker.errors import DockerException
        from requests.exceptions import RequestException
    except ImportError as error:
        raise EnvironmentUnfit(
            f"the docker SDK for Python cannot be imported: {error}",
            hint="pip install --require-hashes -r locks/host.lock",
        ) from error
    where = address or endpoint()
    tls = {} if address else _tls()
    try:
        _knock(where)
        made = DockerClient(base_url=where, version="auto", timeout=seconds, **tls)
        made.ping()
    except (DockerException, RequestException, OSError) as error:
        raise EnvironmentUnfit(
            f"no Docker engine answers at {where}: {error_text(error)}",
            expected="a running engine that this user may talk to",
            hint="vldock engine up",
        ) from error
    return made


def _knock(address: str) -> None:
    """Connect to a socket and hang up.

    The SDK leaves its own connection half-open where nobody answers.
    """
    path = socket_path(address)
    if path is not None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PING_SECONDS)
            sock.connect(str(path))


@contextmanager
def open_client() -> Iterator[Any]:
    """Yield a client and close it afterwards; raises as `client` does."""
    with closing(connect()) as made:
        yield made


def _tls() -> dict[str, Any]:
    from docker.utils import kwargs_from_env

    return {key: value for key, value in kwargs_from_env().items() if key == "tls"}


def status(*, seconds: float = PING_SECONDS) -> EngineStatus:
    """Return the status of the engine and of the docker commands.

    Starts nothing, raises nothing.
    """
    cli = docker_cli.choose(docker_cli.find_installed())
    try:
        connection = connect(seconds=seconds)
    except EnvironmentUnfit as error:
        return EngineStatus(endpoint(), False, problem=error.message.partition(": ")[2] or error.message, cli=cli)
    info = connection.info()
    connection.close()
    return EngineStatus(
        endpoint=endpoint(),
        answers=True,
        version=info.get("ServerVersion"),
        storage=info.get("Driver"),
        data_root=info.get("DockerRootDir"),
        cgroup=f"{info.get('CgroupDriver')} v{info.get('CgroupVersion', '1')}",
        gpu_runtime="nvidia" in (info.get("Runtimes") or {}),
        cores=info.get("NCPU"),
        memory=info.get("MemTotal"),
        cli=cli,
    )


def require_engine() -> EngineStatus:
    """Return the status of the engine; raises EnvironmentUnfit where none answers."""
    found = status()
    if not found.answers:
        raise EnvironmentUnfit(f"no Docker engine answers: {found.problem}", hint="vldock engine up")
    return found
