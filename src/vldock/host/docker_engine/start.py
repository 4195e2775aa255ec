"""Start a Docker engine where none answers: by systemd, or by hand as root; idempotent, bounded, its log kept."""

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
    """What of this machine decides how an engine is started; a test passes another."""

    root: bool
    systemd: bool
    dockerd: str | None
    linux: bool = True

    @classmethod
    def here(cls) -> Machine:
        """Look at this machine."""
        return cls(
            root=os.geteuid() == 0,
            systemd=Path("/run/systemd/system").is_dir(),
            dockerd=shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:{SBIN}"),
            linux=os.uname().sysname == "Linux",
        )


def up(*, say: Say, places: EnginePaths | None = None, seconds: float = START_SECONDS) -> docker_client.EngineStatus:
    """Make an engine answer and a BuildKit-able docker command be there; return what there is then.

    Raises EnvironmentUnfit with what to do where it cannot.
    """
    if not docker_client.status().answers:
        start(machine=Machine.here(), places=places or EnginePaths(), say=say, seconds=seconds)
    if docker_cli.choose(docker_cli.find_installed()) is None and os.geteuid() == 0:
        system_packages.install_builder(say=say)
    docker_cli.require_builder()
    return docker_client.status()


def start(*, machine: Machine, places: EnginePaths, say: Say, seconds: float = START_SECONDS) -> None:
    """Start the engine, whichever way fits the machine, and wait until it answers."""
    require_startable(machine, places)
    if machine.dockerd is None:
        system_packages.install_engine(say=say)
    answers = lambda: _answers(places)  # noqa: E731
    if machine.dockerd is None and wait_for_answer(answers, seconds=3):
        say("engine: started by its package")
    elif machine.systemd:
        say("engine: systemctl start docker")
        done = capture(["systemctl", "start", "docker"], timeout=seconds)
        if not (done.ok and wait_for_answer(answers, seconds=seconds)):
            raise EnvironmentUnfit(
                f"systemctl start docker: exit {done.code} {done.stderr.strip()}".rstrip(),
                expected=f"an engine that answers within {seconds:g} s",
                hint="journalctl -u docker -n 50",
            )
    else:
        start_by_hand(places=places, say=say, seconds=seconds, answers=answers)


def require_startable(machine: Machine, places: EnginePaths) -> None:
    """Raise EnvironmentUnfit, with the next command, where this process cannot start an engine."""
    host = os.environ.get("DOCKER_HOST")
    if host and docker_client.socket_path(host) != places.socket:
        raise EnvironmentUnfit(
            f"no engine answers at DOCKER_HOST={host}, and vldock only starts the local one",
            hint="start that engine, or: unset DOCKER_HOST; vldock engine up",
        )
    if not machine.linux:
        raise EnvironmentUnfit("no Docker engine answers", hint="start Docker Desktop, then: vldock engine status")
    if not machine.root:
        if places.socket.exists() and not os.access(places.socket, os.W_OK):
            hint = "sudo usermod -aG docker $USER, log in again, then: vldock engine status"
        else:
            hint = "sudo apt-get install -y docker.io" if machine.dockerd is None else "sudo systemctl start docker"
        raise EnvironmentUnfit(f"no Docker engine answers at {places.socket} and this user is not root", hint=hint)


def start_by_hand(*, places: EnginePaths, say: Say, seconds: float, answers: Callable[[], bool]) -> None:
    """Start dockerd in a session of its own and wait until it answers.

    Another `vldock engine up` that starts it at the same moment is waited for, not raced.
    """
    with _one_at_a_time(places.log.with_suffix(".lock")):
        if answers():
            return
        clear_stale(places, say=say)
        say(f"engine: starting dockerd, its log is {places.log}")
        with places.log.open("ab") as log:
            offset = log.tell()
            child = subprocess.Popen(
                dockerd_argv(places),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"},
            )
        if not wait_for_answer(lambda: answers() or child.poll() is not None, seconds=seconds) or not answers():
            raise EnvironmentUnfit(
                f"dockerd does not answer: {last_error_line(places.log, offset)}",
                expected=f"an answer at {places.socket} within {seconds:g} s",
                hint=f"tail -n 40 {places.log}",
            )
        child.returncode = 0  # it outlives us on purpose: no warning that it was never waited for


def dockerd_argv(places: EnginePaths) -> list[str]:
    """Return the command that starts the engine; nothing but options that differ from the package's own."""
    if places == EnginePaths():
        return ["dockerd"]
    return [
        "dockerd",
        f"--host=unix://{places.socket}",
        f"--pidfile={places.pidfile}",
        f"--exec-root={places.exec_root}",
        *places.options,
    ]


def last_error_line(log: Path, offset: int) -> str:
    """Return the last line about a failure that a log gained since `offset`."""
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


def _answers(places: EnginePaths) -> bool:
    try:
        docker_client.connect(address=f"unix://{places.socket}", seconds=docker_client.PING_SECONDS).close()
    except EnvironmentUnfit:
        return False
    return True


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
