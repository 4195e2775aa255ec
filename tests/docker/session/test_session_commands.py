"""`vldock session` as a user types it, over the tiny image: start, use, stop, leave nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import wait_until
from support.paths import VLDOCK

from vldock.host.containers import cleanup
from vldock.host.sessions import spec as session_spec

pytestmark = pytest.mark.engine
MODEL = "llava_v1.5_7b"


def vldock(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without a terminal."""
    return subprocess.run([*VLDOCK, *words], capture_output=True, text=True, check=False, **options)


def start(tiny: str, name: str, *words: str, cwd: Path, model: str = MODEL) -> subprocess.CompletedProcess[str]:
    options = ("--image", tiny, "--gpus", "none", "--network", "none", "--standin", "--model", model)
    return vldock("session", "start", name, *options, *words, cwd=cwd)


@pytest.fixture
def name(docker_client: Any) -> Iterator[str]:
    """An unused session name; a session of that name is removed at the end."""
    made = f"t{uuid.uuid4().hex[:8]}"
    yield made
    for handle in cleanup.find(docker_client, role=session_spec.ROLE):
        if handle.name == session_spec.container_name(made):
            cleanup.end_container(handle)


@pytest.fixture
def started(tiny: str, name: str, tmp_path: Path) -> str:
    """The name of a ready session."""
    assert start(tiny, name, cwd=tmp_path).returncode == 0
    return name


@pytest.fixture
def waits(started: str) -> Iterator[subprocess.Popen[bytes]]:
    """An evaluation that runs until it is interrupted or its session ends."""
    words = [*VLDOCK, "session", "eval", started, "--data", "TextVQA_VAL"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"waiting\n"
        yield child
        child.kill()


def names() -> list[str]:
    return [item["name"] for item in json.loads(vldock("session", "ls", "--json").stdout)]


def test_a_session_is_started_listed_asked_and_stopped(tiny: str, name: str, tmp_path: Path) -> None:
    done = start(tiny, name, "--restart", "on-failure:2", cwd=tmp_path)
    said = json.loads(vldock("session", "status", name, "--json").stdout)

    assert (done.returncode, said["state"], [model["name"] for model in said["models"]]) == (0, "ready", [MODEL])
    assert f"docker exec vldock-session-{name} python /workspace/VLMEvalKit/run.py" in done.stdout
    assert f"loading {MODEL}" in done.stderr
    assert name in names()
    assert vldock("session", "stop", name).returncode == 0
    assert name not in names()


def test_the_streams_and_the_exit_code_of_an_evaluation_come_through(started: str, tmp_path: Path) -> None:
    done = vldock("session", "eval", started, "--data", "POPE", "--samples", "3", "--", "--mode", "infer")

    assert (done.returncode, done.stdout) == (7, f"evaluated --data POPE --model {MODEL} --limit 3 --mode infer\n")
    assert "progress\n" in done.stderr
    assert f"results: {tmp_path / 'outputs'}" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_cancels_the_evaluation_and_the_session_goes_on(
    started: str, waits: subprocess.Popen[bytes], number: int
) -> None:
    waits.send_signal(number)
    _, said = waits.communicate()

    assert (waits.returncode, b"interrupted" in said) == (130, True)
    assert vldock("session", "eval", started, "--data", "POPE").returncode == 7


def test_a_second_ctrl_c_kills_what_would_not_end(started: str) -> None:
    words = [*VLDOCK, "session", "exec", started, "--", "sh", "-c", "trap '' INT; echo here; sleep 600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        wait_until.until(lambda: b"once more kills it" in child.stderr.readline())
        child.send_signal(signal.SIGINT)
        assert child.wait() == 130

    assert "600" not in vldock("session", "exec", started, "--", "sh", "-c", "cat /proc/*/cmdline").stdout


def test_a_session_that_crashes_is_started_again_where_that_was_asked(
    docker_client: Any, tiny: str, name: str, tmp_path: Path
) -> None:
    start(tiny, name, "--restart", "on-failure:2", cwd=tmp_path)
    handle = docker_client.containers.get(session_spec.container_name(name))
    handle.exec_run(["sh", "-c", "kill -9 $(cat /proc/1/task/1/children)"])

    wait_until.until(lambda: handle.reload() or handle.attrs["RestartCount"] == 1)
    wait_until.until(lambda: vldock("session", "status", name).returncode == 0)
    assert vldock("session", "stop", name).returncode == 0
    assert name not in names()


@pytest.mark.usefixtures("waits")
def test_a_session_at_work_is_stopped_by_force_only(started: str) -> None:
    refused = vldock("session", "stop", started)
    still = names()
    forced = vldock("session", "stop", started, "--force")

    assert (refused.returncode, forced.returncode) == (1, 0)
    assert "--data TextVQA_VAL" in refused.stderr
    assert started in still
    assert started not in names()


def test_a_client_that_is_killed_leaves_an_evaluation_that_status_shows(
    started: str, waits: subprocess.Popen[bytes]
) -> None:
    waits.kill()
    waits.wait()

    assert "at work" in vldock("session", "status", started).stdout


@pytest.mark.parametrize(
    ("model", "code", "says"),
    [
        pytest.param("sharegpt4v_7b", 1, "sharegpt4v_7b: no weights", id="a model that cannot be loaded"),
        pytest.param("InternVL2-8B", 3, "no room for it", id="a container that refuses"),
        pytest.param("llava_v1.5_8b", 2, "unknown model", id="a model nobody knows"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    tiny: str, name: str, tmp_path: Path, model: str, code: int, says: str
) -> None:
    done = start(tiny, name, "--restart", "always", cwd=tmp_path, model=model)

    assert (done.returncode, says in done.stderr) == (code, True)
    assert name not in names()


def test_ctrl_c_while_it_starts_removes_it(tiny: str, name: str, tmp_path: Path) -> None:
    words = ["session", "start", name, "--image", tiny, "--gpus", "none", "--standin", "--model", "InternVL2-2B"]
    with subprocess.Popen([*VLDOCK, *words], stderr=subprocess.PIPE, cwd=tmp_path) as child:
        assert child.stderr is not None
        wait_until.until(lambda: b"loading" in child.stderr.readline())
        child.send_signal(signal.SIGINT)
        assert child.wait() == 130

    assert name not in names()


def test_a_name_that_is_taken_is_refused(tiny: str, started: str, tmp_path: Path) -> None:
    done = start(tiny, started, cwd=tmp_path)

    assert done.returncode == 2
    assert f"there is a session {started} already" in done.stderr


def test_a_dry_run_prints_the_docker_command_and_starts_nothing(tiny: str, name: str, tmp_path: Path) -> None:
    done = start(tiny, name, "--dry-run", cwd=tmp_path)

    assert done.stdout.startswith("docker run -d --init")
    assert name not in names()


def test_gc_removes_what_ended_and_spares_what_runs(docker_client: Any, tiny: str, name: str, tmp_path: Path) -> None:
    start(tiny, name, "--owner", str(os.getpid()), cwd=tmp_path)
    spared = vldock("session", "gc", "--dry-run").stdout
    docker_client.containers.get(session_spec.container_name(name)).kill()
    told = vldock("session", "gc", "--dry-run").stdout
    still = names()
    vldock("session", "gc")

    assert name not in spared
    assert f"session {name} (vldock-session-{name}): its container is exited (exit 137)" in told
    assert name in still
    assert name not in names()


def test_an_ended_session_says_so_and_how_to_go_on(docker_client: Any, started: str) -> None:
    docker_client.containers.get(session_spec.container_name(started)).kill()

    done = vldock("session", "eval", started, "--data", "POPE")

    assert done.returncode == 3
    assert "exited (exit 137)" in done.stderr
    assert "vldock session start" in done.stderr


def test_a_container_that_dies_under_an_evaluation_is_told(
    docker_client: Any, started: str, waits: subprocess.Popen[bytes]
) -> None:
    docker_client.containers.get(session_spec.container_name(started)).kill()
    _, said = waits.communicate()

    assert waits.returncode == 3
    assert b"ended while this ran: exited (exit 137)" in said
