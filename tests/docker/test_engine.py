"""The running Docker engine, and a second one started and killed beside it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import wait_until

from vldock.host.docker_engine import client as engine_client
from vldock.host.docker_engine import docker_cli
from vldock.host.docker_engine import start as engine_start
from vldock.host.docker_engine.paths import EnginePaths, running_program
from vldock.host.docker_engine.start import Machine
from vldock.host.util.console import silent

pytestmark = pytest.mark.engine


def test_the_status_tells_version_storage_and_a_command_that_can_build() -> None:
    status = engine_client.status()

    assert status.answers
    assert status.version
    assert status.storage
    assert status.cli is not None
    assert docker_cli.inspect(status.cli.path) == status.cli


def test_up_does_nothing_where_an_engine_answers() -> None:
    said: list[str] = []

    assert engine_start.up(log=said.append).answers
    assert said == []


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> Iterator[EnginePaths]:
    """The paths of a second engine; it, its containerd and its files are removed at the end.

    It runs in separate namespaces: any engine takes over the machine's docker0 and iptables rules.
    """
    dockerd = Machine.here().dockerd
    if os.geteuid() != 0 or dockerd is None:
        pytest.skip("a second engine needs root and dockerd")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    folder = Path(tempfile.mkdtemp(prefix="vldock-engine-"))
    (folder / "bin").mkdir()
    (folder / "bin" / "dockerd").write_text(f'#!/bin/sh\nexec unshare --net --mount {dockerd} "$@"\n')
    (folder / "bin" / "dockerd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    places = EnginePaths(
        socket=folder / "docker.sock",
        pidfile=folder / "docker.pid",
        exec_root=folder / "exec",
        log=folder / "dockerd.log",
        options=(f"--data-root={folder / 'data'}", "--bridge=none", "--iptables=false", "--storage-driver=vfs"),
    )
    yield places
    for pidfile, program in ((places.pidfile, "dockerd"), (places.containerd_pidfile, "containerd")):
        end(pidfile, program, signal.SIGTERM)
    shutil.rmtree(folder, ignore_errors=True)


def end(pidfile: Path, program: str, number: signal.Signals) -> None:
    """Signal the process of a pid file if it runs this program, and wait for its end."""
    if running_program(pidfile) != program:
        return
    pid = int(pidfile.read_text())
    os.kill(pid, number)
    wait_until.until(lambda: is_gone(pid))


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; reap it if it is a child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not Path(f"/proc/{pid}").exists()


def test_an_engine_is_started_by_hand_and_again_after_it_was_killed(second: EnginePaths) -> None:
    machine = Machine(root=True, systemd=False, dockerd="dockerd")
    address = f"unix://{second.socket}"

    engine_start.start(machine=machine, paths=second, log=silent)
    first = second.pidfile.read_text()
    engine_start.start(machine=machine, paths=second, log=silent)
    assert second.pidfile.read_text() == first

    end(second.pidfile, "dockerd", signal.SIGKILL)
    assert second.pidfile.exists()
    assert second.containerd_pidfile.exists()
    engine_start.start(machine=machine, paths=second, log=silent)

    assert second.pidfile.read_text() != first
    with contextlib.closing(engine_client.connect(address=address)) as client:
        assert client.info()["Driver"] == "vfs"
