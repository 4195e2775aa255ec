"""The base image that is here is the one locks/base.json declares."""

from __future__ import annotations

from typing import Any

import pytest
from support import boxes, tiny_image

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def made(docker_client: Any) -> Any:
    """The base."""
    return tiny_image.base_image(docker_client)


def run(client: Any, image: str, session_id: str, script: str) -> str:
    return boxes.completed(client, boxes.spec(image, ["sh", "-c", script], run_id=session_id)).stdout


def test_asking_again_changes_nothing(docker_client: Any, made: Any) -> None:
    again = tiny_image.base_image(docker_client)

    assert (again.image_id, again.fresh) == (made.image_id, False)


def test_it_is_debian_bookworm_with_certificates(docker_client: Any, made: Any, session_id: str) -> None:
    text = run(docker_client, made.tag, session_id, ". /etc/os-release; echo $VERSION_CODENAME; ls /etc/ssl/certs")

    assert text.startswith("bookworm\n")
    assert "ca-certificates.crt" in text or made.origin == "registry"


def test_nothing_of_the_machine_that_made_it_is_in_it(docker_client: Any, made: Any, session_id: str) -> None:
    script = "cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/* 2>/dev/null; env"

    text = run(docker_client, made.tag, session_id, script).lower()

    assert "proxy" not in text
    assert "debian.org" in text


def test_its_configuration_is_a_shell_and_a_path_and_nothing_else(docker_client: Any, made: Any) -> None:
    config = docker_client.images.get(made.tag).attrs["Config"]

    assert config["Cmd"] == ["bash"]
    assert [entry.partition("=")[0] for entry in config["Env"]] == ["PATH"]
    assert not config.get("Entrypoint")
