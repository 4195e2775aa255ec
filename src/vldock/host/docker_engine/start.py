"""Start a Docker engine where none answers.

By systemd, or by hand as root; idempotent, with a time limit and a log.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import client as docker_client
from vldock.host.docker_engine import docker_cli, system_packages
from vldock.host.docker_engine.paths import EnginePaths, clear_stale
from vldock.host.util.console import Say
from vldock.host.util.process import capture

START_SECONDS = 180
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # dockerd calls iptables; a user's PATH often lacks these


@dataclass(frozen=True)
class Machine:
    """Facts of this machine that decide how an engine is started."""

    root: bool
    systemd: bool
    dockerd: str | None
    linux: bool = True

    @classmethod
    def here(cls) -> Machine:
        """Return the facts of this machine."""
        return cls(
            root=os.geteuid() == 0,
            systemd=Path("/run/systemd/system").is_dir(),
            dockerd=shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:{SBIN}"),
            linux=os.uname().sysname == "Linux",
        )


def up(*, log: Say, paths: EnginePaths | None = None, seconds: float = START_SECONDS) -> docker_client.EngineStatus:
    """Start an engine and install a BuildKit-capable docker command where missing.

    Returns the engine's status.

    Raises EnvironmentUnfit with what to do where it cannot.
    """
    if not docker_client.status().answers:
        start(machine=Machine.here(), paths=paths or EnginePaths(), log=log, seconds=seconds)
    if docker_cli.choose(docker_cli.find_installed()) is None and os.geteuid() == 0:
        system_packages.install_builder(log=log)
    docker_cli.require_builder()
    return docker_client.status()


def start(*, machine: Machine, paths: EnginePaths, log: Say, seconds: float = START_SECONDS) -> None:
    """Start the engine and wait until it answers.

    The way of starting fits the machine.
    """
    require_startable(machine, paths)
    if machine.dockerd is None:
        system_packages.install_engine(log=log)
    answers = lambda: _answers(paths)  # noqa: E731
    if machine.dockerd is None and wait_for_answer(answers, seconds=3):
        log("engine: started by its package")
    elif machine.systemd:
        log("engine: systemctl start docker")
        done = capture(["systemctl", "start", "docker"], timeout=seconds)
        if not (done.ok and wait_for_answer(answers, seconds=seconds)):
            raise EnvironmentUnfit(
                f"systemctl start docker: exit {done.code} {done.stderr.strip()}".rstrip(),
                expected=f"an engine that answers within {seconds:g} s",
                hint="journalctl -u docker -n 50",
            )
    else:
        start_by_hand(paths=paths, log=log, seconds=seconds, answers=answers)


def require_startable(machine: Machine, paths: EnginePaths) -> None:
    """Raise EnvironmentUnfit, with the next command, where this process cannot start an engine."""
    host = os.environ.get("DOCKER_HOST")
    if host and docker_client.socket_path(host) != paths.socket:
        raise EnvironmentUnfit(
            f"no engine answers at DOCKER_HOST={host}, and vldock only starts the local one",
            hint="start that engine, or: unset DOCKER_HOST; vldock engine up",
        )
    if not machine.linux:
        raise EnvironmentUnfit("no Docker engine answers", hint="start Docker Desktop, then: vldock engine status")
    if not machine.root:
        if paths.socket.exists() and not os.access(paths.socket, os.W_OK):
            hint = "sudo usermod -aG docker $USER, log in again, then: vldock engine status"
        else:
            hint = "sudo apt-get install -y docker.io" if machine.dockerd is None else "sudo systemctl start docker"
        raise EnvironmentUnfit(f"no Docker engine answers at {paths.socket} and this user is not root", hint=hint)


def start_by_hand(*, paths: EnginePaths, log: Say, seconds: float, answers: Callable[[], bool]) -> None:
    """Start dockerd in a separate session and wait until it answers.

    Another `vldock engine up` that starts it at the same moment is waited for, not raced.
    """
    with _one_at_a_time(paths.log.with_suffix(".lock")):
        if answers():
            return
        clear_stale(paths, log=log)
        log(f"engine: starting dockerd, its log is {paths.log}")
        with paths.log.open("ab") as stream:
            offset = stream.tell()
            child = subprocess.Popen(
                dockerd_argv(paths),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"},
            )
        if not wait_for_answer(lambda: answers() or child.poll() is not None, seconds=seconds) or not answers():
            raise EnvironmentUnfit(
                f"dockerd does not answer: {last_error_line(paths.log, offset)}",
                expected=f"an answer at {paths.socket} within {seconds:g} s",
                hint=f"tail -n 40 {paths.log}",
            )
        child.returncode = 0  # it outlives us on purpose: no warning that it was never waited for


def dockerd_argv(paths: EnginePaths) -> list[str]:
    """Return the command that starts the engine.

    Only options that differ from the package's own.
    """
    if paths == EnginePaths():
        return ["dockerd"]
    return [
        "dockerd",
        f"--host=unix://{paths.socket}",
        f"--pidfile={paths.pidfile}",
        f"--exec-root={paths.exec_root}",
        *paths.options,
    ]


def last_error_line(log: Path, offset: int) -> str:
    """Return a log's last line about a failure after `offset`."""
    with log.open("rb") as stream:
        stream.seek(offset)
        lines = stream.read().decode(errors="replace").strip().splitlines()
    failing = [line for line in lines if "level=error" in line or "level=fatal" in line or line.startswith("failed")]
    return (failing or lines or ["it printed nothing"])[-1]


def wait_for_answer(answers: Callable[[], bool], *, seconds: float, every: float = 0.2) -> bool:
    """Ask until the answer is yes or `seconds` have passed."""
    attempts = Retrying(
        retry=retry_if_result(lambda yes: not yes), stop=stop_after_delay(seconds), wait=wait_fixed(every)
    )
    try:
        return bool(attempts(answers))
    except RetryError:
        return False


def _answers(paths: EnginePaths) -> bool:
    try:
        docker_client.connect(address=f"unix://{paths.socket}", seconds=docker_client.PING_SECONDS).close()
    except EnvironmentUnfit:
        return False
    return True


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
