"""Two images and one /tmp: a session answers runs of its own image only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import tracked_containers, wait_until
from support.tracked_containers import Box

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
    """The image of another build: the same but for its version, which its build facts name."""
    edit = ["sed", "-i", f's/"version": "[^"]*"/"version": "{OTHER}"/', FACTS]
    with tracked_containers.edited(docker_client, image.id, edit, run_id=session_id) as made:
        yield made


@pytest.fixture(scope="module")
def two(
    container_factory: Any, docker_client: Any, other: str, session_id: str, tmp_path_factory: Any
) -> Iterator[tuple[Box, Box]]:
    """A container of each image, both with a session that is ready, and one /tmp."""
    shared = tmp_path_factory.mktemp("tmp")
    shared.chmod(0o1777)
    mine = container_factory(SERVE, mounts={shared: "/tmp"}, environment=ENV)
    theirs = tracked_containers.spec(other, SERVE, run_id=session_id, mounts={shared: "/tmp"}, environment=ENV)
    with tracked_containers.box(docker_client, theirs) as box:
        wait_until.until(lambda: all(status(one).get("state") == "ready" for one in (mine, box)), seconds=240)
        yield mine, box


def status(box: Box) -> dict[str, Any]:
    """Return what the session of a container says of itself; nothing while it does not answer."""
    said = box.exec(["python", "-m", "vldock.image", "session", "status", "--json"]).stdout
    return dict(json.loads(said)) if said else {}


def version(box: Box) -> str:
    """Return the version of the image that signed the last passport in a container."""
    return str(json.loads(box.exec(["cat", PASSPORT]).stdout)["image"]["version"])


def test_each_run_is_answered_by_its_own_images_session_and_signed_by_its_own_image(two: tuple[Box, Box]) -> None:
    done = [box.exec(RUN) for box in two]

    assert [(one.exit_code, one.stderr.count(FOUND)) for one in done] == [(0, 1), (0, 1)], done
    mine, theirs = map(version, two)
    assert (mine != OTHER, theirs) == (True, OTHER)


def test_a_session_of_another_image_is_declined_in_one_line(two: tuple[Box, Box]) -> None:
    mine, theirs = two
    folder = status(mine)["socket"].rpartition("/")[0]

    done = theirs.exec(RUN, environment={"VLDOCK_SESSION": folder})

    assert (done.exit_code, FOUND in done.stderr) == (0, False), done.text
    assert done.stderr.count("session: the session is of another image (build ") == 1
    assert version(theirs) == OTHER
