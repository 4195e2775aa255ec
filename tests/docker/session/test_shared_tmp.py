"""Two images and one /tmp: a session answers runs of its own image only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import wait_until
from support.containers import tracked_containers
from support.containers.tracked_containers import TrackedContainer

MODEL = "llava_v1.5_7b"
RUN = ["python", "/workspace/VLMEvalKit/run.py", "--data", "POPE", "--model", MODEL, "--limit", "1"]
SERVE = ["python", "-m", "vldock.image", "session", "serve", "--model", MODEL]
ENV = {"VLDOCK_STANDIN": "1", "OMP_NUM_THREADS": "1"}
FACTS = "/opt/vldock/build.json"
OTHER = "0.0.0-other"
FOUND = "is loaded in the session's worker"
PASSPORT = f"/workspace/outputs/STAND-IN/{MODEL}/{MODEL}_POPE_passport.json"


@pytest.fixture(scope="module")
def other(docker_client: Any, image: Any, session_id: str) -> Iterator[str]:
    """An image of another build: only the version in its build facts differs."""
    edit = ["sed", "-i", f's/"version": "[^"]*"/"version": "{OTHER}"/', FACTS]
    with tracked_containers.modified_image(docker_client, image.id, edit, run_id=session_id) as made:
        yield made


@pytest.fixture(scope="module")
def two(
    container_factory: Any, docker_client: Any, other: str, session_id: str, tmp_path_factory: Any
) -> Iterator[tuple[TrackedContainer, TrackedContainer]]:
    """A container of each image, both with a ready session, sharing one /tmp."""
    shared = tmp_path_factory.mktemp("tmp")
    shared.chmod(0o1777)
    mine = container_factory(SERVE, mounts={shared: "/tmp"}, environment=ENV)
    theirs = tracked_containers.make_spec(other, SERVE, run_id=session_id, mounts={shared: "/tmp"}, environment=ENV)
    with tracked_containers.running(docker_client, theirs) as container:
        wait_until.until(
            lambda: all(each.session_status().get("state") == "ready" for each in (mine, container)), seconds=240
        )
        yield mine, container


def version(container: TrackedContainer) -> str:
    """Return the image version in the last passport of a container."""
    return str(json.loads(container.exec(["cat", PASSPORT]).stdout)["image"]["version"])


def test_each_run_is_answered_by_its_own_images_session_and_signed_by_its_own_image(
    two: tuple[TrackedContainer, TrackedContainer],
) -> None:
    done = [container.exec(RUN) for container in two]

    assert [(one.exit_code, one.stderr.count(FOUND)) for one in done] == [(0, 1), (0, 1)], done
    mine, theirs = map(version, two)
    assert (mine != OTHER, theirs) == (True, OTHER)


def test_a_session_of_another_image_is_declined_in_one_line(two: tuple[TrackedContainer, TrackedContainer]) -> None:
    mine, theirs = two
    folder = mine.session_status()["socket"].rpartition("/")[0]

    done = theirs.exec(RUN, environment={"VLDOCK_SESSION": folder})

    assert (done.exit_code, FOUND in done.stderr) == (0, False), done.text
    assert done.stderr.count("session: the session is of another image (build ") == 1
    assert version(theirs) == OTHER
