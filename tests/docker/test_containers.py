"""Containers are labelled, read line by line, and always removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound
from support.containers import tracked_containers

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.containers import lifecycle
from vldock.host.containers.cleanup import find
from vldock.host.containers.lifecycle import Line, run_container
from vldock.host.containers.spec import Mount, Spec

pytestmark = pytest.mark.engine


def lines(client: Any, image: str, script: str) -> list[Line]:
    with run_container(client, Spec(image, ("sh", "-c", script), role="test")) as container:
        return [line for line in container.lines() if line is not None]


def test_every_line_comes_with_its_stream(docker_client: Any, tiny: str) -> None:
    found = lines(docker_client, tiny, "echo one; echo two >&2; printf three")

    assert sorted(found, key=str) == sorted(
        [Line("stdout", "one"), Line("stderr", "two"), Line("stdout", "three")], key=str
    )


def test_a_progress_bar_is_its_last_state(docker_client: Any, tiny: str) -> None:
    assert lines(docker_client, tiny, r"printf ' 10%%\r 50%%\r100%%\n'") == [Line("stdout", "100%")]


def test_the_end_is_told_and_the_container_is_gone(docker_client: Any, tiny: str) -> None:
    with run_container(docker_client, Spec(tiny, ("sh", "-c", "exit 7"), role="test")) as container:
        assert container.wait().code == 7

    with pytest.raises(NotFound):
        docker_client.containers.get(container.id)


def test_a_failure_in_between_removes_it_too(docker_client: Any, tiny: str) -> None:
    spec = Spec(tiny, ("sleep", "600"), role="test", init=True)
    with pytest.raises(ZeroDivisionError), run_container(docker_client, spec) as container:
        raise ZeroDivisionError

    with pytest.raises(NotFound):
        docker_client.containers.get(container.id)


def test_memory_that_ran_out_is_told_apart(docker_client: Any, tiny: str) -> None:
    options = {"mem_limit": "16m", "labels": {"vldock.role": "test"}}
    handle = docker_client.containers.create(tiny, ["tail", "/dev/zero"], **options)
    try:
        handle.start()
        ended = lifecycle.Container(handle, iter(())).wait()
    finally:
        handle.remove(force=True)

    assert str(ended) == "out of memory (exit 137)"


def test_a_leftover_is_found_by_its_run_and_no_other(
    docker_client: Any, start_tiny_container: Any, session_id: str
) -> None:
    container = start_tiny_container(["sleep", "600"])

    assert container.id in [handle.id for handle in find(docker_client, run_id=session_id)]
    assert find(docker_client, run_id="another") == []


def test_exec_takes_words_and_refuses_a_text(start_tiny_container: Any) -> None:
    container = start_tiny_container(["sleep", "600"])

    done = container.exec(["sh", "-c", 'echo "$1"; exit 3', "-", "a  b"])

    assert (done.exit_code, done.stdout) == (3, "a  b\n")
    with pytest.raises(UsageError):
        container.inner.execute("echo a")


def test_exec_that_hangs_is_ended(start_tiny_container: Any) -> None:
    assert start_tiny_container(["sleep", "600"]).exec(["sleep", "600"], timeout=1).exit_code == 124


def test_a_mount_belongs_to_the_caller(docker_client: Any, tiny: str, session_id: str, tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)

    spec = tracked_containers.make_spec(
        tiny, ["sh", "-c", "touch /out/made"], run_id=session_id, user="12345:12345", mounts={tmp_path: "/out"}
    )
    done = tracked_containers.run_to_end(docker_client, spec)

    assert done.exit_code == 0, done.text
    assert (tmp_path / "made").stat().st_uid == 12345


def test_a_read_only_mount_and_root_cannot_be_written(
    docker_client: Any, tiny: str, session_id: str, tmp_path: Path
) -> None:
    spec = tracked_containers.make_spec(
        tiny, ["touch", "/in/x", "/x"], run_id=session_id, read_only=True, mounts={tmp_path: "/in:ro"}
    )

    assert tracked_containers.run_to_end(docker_client, spec).stderr.count("Read-only file system") == 2


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        (Spec("vldock-nowhere:0", role="test"), "vldock build"),
        (Spec("TINY", ("sh",), role="test", mounts=(Mount(Path("/no/such/folder"), "/x"),)), "create that folder"),
    ],
    ids=["no image", "no folder to mount"],
)
def test_what_the_engine_refuses_comes_with_a_hint(docker_client: Any, tiny: str, spec: Spec, hint: str) -> None:
    from dataclasses import replace

    asked = replace(spec, image=spec.image.replace("TINY", tiny))
    with pytest.raises(EnvironmentUnfit) as caught, run_container(docker_client, asked):
        pass

    assert hint in (caught.value.hint or "")


def test_a_command_that_is_not_in_the_image_is_an_error_and_leaves_nothing(
    docker_client: Any, tiny: str, session_id: str
) -> None:
    before = {handle.id for handle in find(docker_client)}

    spec = Spec(tiny, ("no-such-command",), role="test", run_id=session_id)
    with pytest.raises(EnvironmentUnfit, match="no-such-command"), run_container(docker_client, spec):
        pass

    assert {handle.id for handle in find(docker_client)} <= before
