"""An engine is started once, in the way that fits the machine, or refused with a hint."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import start as engine_start
from vldock.host.docker_engine.paths import EnginePaths, clear_stale
from vldock.host.docker_engine.start import Machine
from vldock.host.errors import error_text


@pytest.fixture
def places(tmp_path: Path) -> EnginePaths:
    """An engine's places in a folder of the test's own."""
    return EnginePaths(
        socket=tmp_path / "docker.sock",
        pidfile=tmp_path / "docker.pid",
        exec_root=tmp_path / "exec",
        log=tmp_path / "dockerd.log",
    )


def process(proc: Path, pid: int, name: str, *, state: str = "S") -> None:
    """Make a /proc entry."""
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {state} 1 1 1 0\n")


def forget(text: str) -> None:
    """Ignore a line."""


@pytest.fixture(autouse=True)
def _no_docker_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.parametrize(
    ("dockerd", "command"),
    [(None, "sudo apt-get install -y docker.io"), ("/usr/sbin/dockerd", "sudo systemctl start docker")],
    ids=["not installed", "installed"],
)
def test_a_user_who_is_not_root_is_told_the_command(places: EnginePaths, dockerd: str | None, command: str) -> None:
    machine = Machine(root=False, systemd=True, dockerd=dockerd)

    with pytest.raises(EnvironmentUnfit) as caught:
        engine_start.start(machine=machine, paths=places, log=forget)

    assert caught.value.hint == command
    assert caught.value.exit_code == 3


def test_an_engine_elsewhere_is_not_started_here(places: EnginePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://far.example:2376")

    with pytest.raises(EnvironmentUnfit, match=r"DOCKER_HOST=tcp://far\.example:2376"):
        engine_start.start(machine=Machine(root=True, systemd=False, dockerd="d"), paths=places, log=forget)


def test_a_pid_file_whose_number_another_program_has_by_now_is_removed(places: EnginePaths, tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    process(proc, 41, "sshd")
    places.pidfile.write_text("41")

    assert clear_stale(places, log=forget, proc=proc) == [places.pidfile]
    assert not places.pidfile.exists()


def test_a_containerd_that_is_left_over_and_alive_is_kept(places: EnginePaths, tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    process(proc, 42, "containerd")
    places.containerd_pidfile.parent.mkdir(parents=True)
    places.containerd_pidfile.write_text("42")

    assert clear_stale(places, log=forget, proc=proc) == []
    assert places.containerd_pidfile.exists()


def test_a_containerd_that_ends_after_its_dockerd_is_waited_for(places: EnginePaths, tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    process(proc, 42, "containerd")
    places.containerd_pidfile.parent.mkdir(parents=True)
    places.containerd_pidfile.write_text("42")
    killed = threading.Timer(0.1, shutil.rmtree, [proc / "42"])
    killed.start()

    assert clear_stale(places, log=forget, proc=proc) == [places.containerd_pidfile]
    killed.join()


def test_a_dead_containerd_nobody_reaped_is_not_taken_for_a_running_one(places: EnginePaths, tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    process(proc, 42, "containerd", state="Z")
    places.containerd_pidfile.parent.mkdir(parents=True)
    places.containerd_pidfile.write_text("42")

    assert clear_stale(places, log=forget, proc=proc) == [places.containerd_pidfile]


def test_a_dockerd_that_ends_at_once_is_told_with_its_last_complaint(
    places: EnginePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "dockerd"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho starting\necho 'failed to start daemon: no iptables' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")

    with pytest.raises(EnvironmentUnfit) as caught:
        engine_start.start_by_hand(paths=places, log=forget, seconds=10, answers=lambda: False)

    assert "no iptables" in caught.value.message
    assert str(places.log) in (caught.value.hint or "")


def test_an_engine_another_process_just_started_is_not_started_twice(
    places: EnginePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    engine_start.start_by_hand(paths=places, log=forget, seconds=1, answers=lambda: True)

    assert not places.log.exists()


def test_a_failed_connection_is_told_by_its_innermost_cause() -> None:
    error = RuntimeError("Error while fetching server API version")
    error.__cause__ = FileNotFoundError(2, "No such file or directory")

    assert error_text(error) == "[Errno 2] No such file or directory"
