"""Container specification: for the docker SDK, and as a `docker run` command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vldock.common import cache_env
from vldock.common.errors import UsageError

ROLE_LABEL = "vldock.role"
RUN_LABEL = "vldock.run"
ENV_TARGET = f"{cache_env.WORKSPACE}/.env"
SHM = "2g"  # torch's workers pass tensors through /dev/shm; docker's own 64 MB ends in "bus error"


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a place in the container."""

    source: Path
    target: str
    read_only: bool = False

    def option(self) -> str:
        """Return the value of `docker run -v`."""
        return f"{self.source}:{self.target}" + (":ro" if self.read_only else "")


@dataclass(frozen=True)
class Health:
    """Health check of a container: a command for its shell, times in seconds."""

    command: str
    interval: float
    timeout: float
    start_period: float
    retries: int = 3

    def sdk_argument(self) -> dict[str, Any]:
        """Return docker-py's `healthcheck`, in nanoseconds."""
        times = {name: round(getattr(self, name) * 1e9) for name in ("interval", "timeout", "start_period")}
        return {"test": ["CMD-SHELL", self.command], "retries": self.retries, **times}

    def options(self) -> list[str]:
        """Return the options of `docker run`."""
        words = ["--health-cmd", self.command, "--health-retries", str(self.retries)]
        for name in ("interval", "timeout", "start_period"):
            words += [f"--health-{name.replace('_', '-')}", f"{getattr(self, name):g}s"]
        return words


@dataclass(frozen=True)
class Spec:
    """A container to start: image, command, and its access to this machine.

    `gpus` is 'none', 'all' or device numbers and UUIDs with commas; `network` None is the engine's default. `detached`
    ones outlive their command and are removed by name; `restart` is docker's policy for them, None for none.
    """

    image: str
    argv: tuple[str, ...] = ()
    role: str = "run"
    run_id: str | None = None
    name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    user: str | None = None
    gpus: str = "none"
    network: str | None = None
    read_only: bool = False
    tmpfs: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None  # ("",) clears the image's own
    init: bool = False  # our image brings its own tini; another may not
    detached: bool = False
    restart: str | None = None
    health: Health | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    stdin: bool = False
    cpus: int | None = None  # cores it may use
    memory: int | None = None  # bytes

    @property
    def labels(self) -> dict[str, str]:
        """The labels to find a leftover by, and the marks beside them."""
        return {ROLE_LABEL: self.role} | ({RUN_LABEL: self.run_id} if self.run_id else {}) | dict(self.marks)

    def sdk_arguments(self) -> dict[str, Any]:
        """Return the arguments of `client.containers.create`."""
        from docker.types import DeviceRequest
        from docker.types import Mount as SdkMount

        arguments: dict[str, Any] = {
            "image": self.image,
            "command": list(self.argv),
            "name": self.name,
            "labels": self.labels,
            "environment": dict(self.env),
            "mounts": [SdkMount(m.target, str(m.source), type="bind", read_only=m.read_only) for m in self.mounts],
            "user": self.user,
            "network": self.network,
            "read_only": self.read_only,
            "tmpfs": dict.fromkeys(self.tmpfs, ""),
            "init": self.init or None,
            "shm_size": SHM,
            "restart_policy": restart_policy(self.restart) if self.restart else None,
            "healthcheck": self.health.sdk_argument() if self.health else None,
            "stdin_open": self.stdin,
            "nano_cpus": self.cpus and self.cpus * 10**9,
            "mem_limit": self.memory,
        }
        if self.entrypoint is not None:
            arguments["entrypoint"] = list(self.entrypoint)
        if self.gpus != "none":
            which = {"count": -1} if self.gpus == "all" else {"device_ids": self.gpus.split(",")}
            arguments["device_requests"] = [DeviceRequest(capabilities=[["gpu"]], **which)]
        return {name: value for name, value in arguments.items() if value not in (None, False, {}, [])}

    def docker_argv(self, docker: str = "docker", *, interactive: bool = False, stdin: bool = False) -> list[str]:
        """Return the equivalent `docker run` command.

        `stdin` passes standard input on without a terminal.
        """
        words = [docker, "run", "-d" if self.detached else "--rm", *_flag("--init", self.init)]
        words += [*_flag("-it" if interactive else "-i", interactive or stdin or self.stdin), f"--shm-size={SHM}"]
        for option, value in self._options():
            words += [option, str(value)] if value else []
        words += _flag("--read-only", self.read_only)
        words += self.health.options() if self.health else []
        for option, values in self._repeated_options():
            words += [word for value in values for word in (option, value)]
        if self.entrypoint is not None:
            words += ["--entrypoint", self.entrypoint[0]]
        return [*words, self.image, *(self.entrypoint or ())[1:], *self.argv]

    def _options(self) -> Iterator[tuple[str, str | int | None]]:
        """Yield (option, value) of single `docker run` options; no value: left out."""
        for name in ("name", "restart", "user", "network"):
            yield f"--{name}", getattr(self, name)
        yield "--gpus", None if self.gpus == "none" else gpus_option(self.gpus)
        yield "--cpus", self.cpus
        yield "--memory", self.memory

    def _repeated_options(self) -> Iterator[tuple[str, Iterable[str]]]:
        """Yield (option, values) of repeated `docker run` options."""
        yield "--tmpfs", self.tmpfs
        yield "--label", (f"{key}={value}" for key, value in self.labels.items())
        yield "-v", (mount.option() for mount in self.mounts)
        yield "-e", (f"{key}={value}" for key, value in self.env.items())


def _flag(word: str, is_set: bool) -> list[str]:
    return [word] if is_set else []


def restart_policy(text: str) -> dict[str, Any]:
    """Return docker-py's `restart_policy` for a value of `--restart`.

    Values are those of `docker run --restart`: no, on-failure:3, always ...
    """
    name, _, count = text.partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def gpus_option(gpus: str) -> str:
    """Return the value of `docker run --gpus`.

    A list of devices needs quotes inside the argument.
    """
    return gpus if gpus == "all" else f'"device={gpus}"' if "," in gpus else f"device={gpus}"


def workspace_mounts(
    *,
    outputs: Path | None = None,
    data: Path | None = None,
    cache: Path | None = None,
    env_file: Path | None = None,
    read_only_inputs: bool = False,
) -> tuple[Mount, ...]:
    """Return the mounts of the workspace's folders.

    Outputs and cache are made where missing.

    `read_only_inputs` mounts data and cache read-only.

    Raises UsageError when the data folder or the .env file is not there: docker would make an empty folder of it.
    """
    mounts = []
    if env_file is not None and not env_file.is_file():
        raise UsageError(
            f"--env-file {env_file}: " + ("it is a folder" if env_file.is_dir() else "no such file"),
            expected="a file of NAME=value lines",
            hint=f"rmdir {env_file}; then write HUGGING_FACE_HUB_TOKEN=... into it" if env_file.is_dir() else None,
        )
    if data is not None and not data.is_dir():
        raise UsageError(f"--data {data}: no such folder", expected="the folder that holds the benchmarks' TSV files")
    inputs = read_only_inputs
    for source, target, locked in ((outputs, cache_env.OUTPUTS, False), (cache, cache_env.CACHE_ROOT, inputs)):
        if source is not None:
            source.mkdir(parents=True, exist_ok=True)
            mounts.append(Mount(source.resolve(), target, read_only=locked))
    if data is not None:
        mounts.append(Mount(data.resolve(), cache_env.LMUDATA, read_only=inputs))
    if env_file is not None:
        mounts.append(Mount(env_file.resolve(), ENV_TARGET, read_only=True))
    return tuple(mounts)
