"""A session whose worker dies at every start: start, status and evaluations name the cause."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support import wait_until
from support.containers import tracked_containers
from support.containers.live_session import MODEL, LiveSession
from support.containers.tracked_containers import TrackedContainer

from vldock.host.containers import cleanup
from vldock.host.sessions import spec as session_spec

CAUSE = "ValueError: no index"
WORKER = "/opt/vldock/vldock/image/session/worker.py"


@pytest.fixture(scope="module")
def broken(docker_client: Any, image: Any, session_id: str) -> Iterator[str]:
    """An image whose session worker cannot start."""
    edit = ["sh", "-c", f"echo 'raise ValueError(\"no index\")' >> {WORKER}"]
    with tracked_containers.modified_image(docker_client, image.id, edit, run_id=session_id) as made:
        yield made


@pytest.fixture(scope="module")
def failed(
    docker_client: Any, broken: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveSession, Any]]:
    """A session of that image, kept after its failed start, and the completed command."""
    outputs = tmp_path_factory.mktemp("failed")
    outputs.chmod(0o777)
    live = LiveSession(docker_client, broken, f"t{uuid.uuid4().hex[:8]}", outputs)
    yield live, live.start("--keep-failed")
    for handle in cleanup.find(docker_client, role=session_spec.ROLE):
        if handle.name == session_spec.container_name(live.name):
            cleanup.end_container(handle)


def test_the_start_fails_with_the_cause(failed: tuple[LiveSession, Any]) -> None:
    _, started = failed

    assert started.returncode == 1
    assert f"it died at every start, the last time: {CAUSE}" in started.stderr


def test_status_and_the_list_of_sessions_name_the_cause(failed: tuple[LiveSession, Any]) -> None:
    live, _ = failed
    told = live.vldock("status")
    inside = live.inside("python", "-m", "vldock.image", "session", "status")
    (row,) = [row for row in json.loads(live.vldock_session("ls", "--json").stdout) if row["name"] == live.name]

    assert (told.returncode, f"session {live.name}: worker died: {CAUSE}" in told.stdout) == (3, True), told
    assert f"worker died: {CAUSE} (given up, 3 deaths so far)" in inside.stdout
    assert (row["state"], row["worker_cause"]) == ("failed", CAUSE)


def test_the_line_a_user_types_says_the_cause_once_and_loads_the_model_itself(failed: tuple[LiveSession, Any]) -> None:
    live, _ = failed

    done = live.run_py("--data", "POPE", "--limit", "1")

    assert done.exit_code == 0, done.text
    assert done.stderr.count(f"session: the session's worker died: {CAUSE}: loading in this process") == 1
    assert f"SCORE {MODEL} x POPE" in done.stdout


@pytest.fixture
def hungry(docker_client: Any, image: Any, session_id: str) -> Iterator[TrackedContainer]:
    """A container with a session whose worker allocates 3 GB at its start once /tmp/hungry exists."""
    line = 'import os\nmemory = bytearray(3 << 30) if os.path.exists("/tmp/hungry") else None'
    edit = ["sh", "-c", f"echo '{line}' >> {WORKER}"]
    serve = ["python", "-m", "vldock.image", "session", "serve"]
    with (
        tracked_containers.modified_image(docker_client, image.id, edit, run_id=session_id) as made,
        tracked_containers.running(
            docker_client, tracked_containers.make_spec(made, serve, run_id=session_id)
        ) as container,
    ):
        wait_until.until(lambda: container.session_status().get("state") == "ready", seconds=120)
        yield container


def test_a_worker_killed_for_want_of_memory_is_told_so(hungry: TrackedContainer) -> None:
    hungry.handle.update(mem_limit="2g", memswap_limit="2g")

    hungry.exec(["sh", "-c", f"touch /tmp/hungry; kill -9 {hungry.session_status()['worker_pid']}"])

    wait_until.until(lambda: hungry.session_status()["state"] == "failed", seconds=120)
    assert hungry.session_status()["worker_cause"] == "killed by SIGKILL: out of memory"
