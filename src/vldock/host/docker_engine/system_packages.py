"""Install system packages with apt-get, as root."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import docker_cli
from vldock.host.util import process
from vldock.host.util.console import Say

QUIET = {"DEBIAN_FRONTEND": "noninteractive"}
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3")


def install(names: Sequence[str], *, log: Say) -> None:
    """Install packages with apt-get, showing its lines.

    Raises EnvironmentUnfit where there is no apt-get, no root, or apt-get fails.
    """
    wanted = " ".join(names)
    if shutil.which("apt-get") is None:
        raise EnvironmentUnfit(f"{wanted}: not installed, and there is no apt-get here", hint=f"install {wanted}")
    if os.geteuid() != 0:
        raise EnvironmentUnfit(f"{wanted}: not installed", hint=f"sudo apt-get install -y {wanted}")
    log(f"apt-get install {wanted}")
    last: list[str] = []

    def show(line: str) -> None:
        last.append(line)
        log(f"  {line}")

    for step in (("update",), ("install", "-y", "--no-install-recommends", *names)):
        # A stale third-party source must not stop it: what the install then lacks is said by the install.
        code = process.stream([*APT, *step], on_line=show, env=QUIET)
        if code != 0 and step[0] == "install":
            raise EnvironmentUnfit(
                f"apt-get install {wanted}: exit {code}: {last[-1] if last else 'no output'}",
                hint=f"apt-get update && apt-get install -y {wanted}",
            )


def install_engine(*, log: Say) -> None:
    """Install Debian's or Ubuntu's own docker.io."""
    install(["docker.io", "ca-certificates"], log=log)


def install_builder(*, log: Say) -> None:
    """Install a docker command with BuildKit, or the plug-in the present one lacks."""
    if not docker_cli.find_installed():
        install_engine(log=log)
    if docker_cli.choose(docker_cli.find_installed()) is None:
        install(["docker-buildx"], log=log)
