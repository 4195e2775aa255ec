"""`vldock run` and `vldock shell`: `docker run` on this terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.host.containers.spec import Spec, workspace_mounts
from vldock.host.docker_engine.docker_cli import DockerCli
from vldock.host.util import process
from vldock.host.util.console import Say


def caller_user() -> str:
    """Return UID:GID of the caller, so that outputs belong to them."""
    return f"{os.getuid()}:{os.getgid()}"


def parse_environment(pairs: Sequence[str], *, standin: bool) -> dict[str, str]:
    """Return NAME=VALUE arguments as a mapping.

    Raises UsageError for an argument without a name or a value.
    """
    values = {"VLDOCK_STANDIN": "1"} if standin else {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"--env {pair}", expected="NAME=VALUE")
        values[name] = value
    return values


def make_spec(
    argv: Sequence[str],
    *,
    image: str,
    env: Mapping[str, str],
    outputs: Path | None,
    data: Path | None,
    cache: Path | None,
    env_file: Path | None,
    user: str,
    gpus: str,
    network: str | None,
    read_only_inputs: bool = False,
) -> Spec:
    """Return the container of `vldock run`."""
    return Spec(
        image=image,
        argv=tuple(argv),
        role="run",
        env=env,
        mounts=workspace_mounts(
            outputs=outputs, data=data, cache=cache, env_file=env_file, read_only_inputs=read_only_inputs
        ),
        user=user,
        gpus=gpus,
        network=network,
    )


def run_attached(spec: Spec, *, cli: DockerCli, log: Say, stdin: bool = False) -> int:
    """Print the docker command, run it on this terminal, return its exit code.

    `stdin` hands standard input on where it is no terminal.
    """
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    argv = spec.docker_argv(cli.path, interactive=interactive, stdin=stdin)
    log(process.shell_text(spec.docker_argv("docker", interactive=interactive, stdin=stdin)))
    return process.run_attached(argv)
