"""The base image of the engine is the one locks/base.json declares."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from docker.errors import ImageNotFound
from support.containers import tiny_image, tracked_containers
from support.registries import one_image_registry

from vldock.common.errors import EnvironmentUnfit
from vldock.host.build import base_image
from vldock.host.build.base_image import BaseRecipe
from vldock.host.util import checkout
from vldock.host.util.console import silent

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def made(docker_client: Any) -> Any:
    """The base image."""
    return tiny_image.base_image(docker_client)


def run(client: Any, image: str, session_id: str, script: str) -> str:
    return tracked_containers.run_to_end(
        client, tracked_containers.make_spec(image, ["sh", "-c", script], run_id=session_id)
    ).stdout


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


@pytest.fixture
def recipe(docker_client: Any, session_id: str) -> Iterator[BaseRecipe]:
    """The declared recipe with a tag of this test, removed afterwards."""
    declared = BaseRecipe.load(checkout.root() / checkout.BASE_FILE)
    made = replace(declared, tag=f"vldock-base-test:{session_id}", connect_seconds=2)
    yield made
    with suppress(ImageNotFound):
        docker_client.images.remove(made.tag, force=True)


def a_layer() -> bytes:
    """Return a tar of one small file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("etc-debian"))
    return made.getvalue()


def test_a_registry_that_answers_is_pulled_from_by_digest_once(docker_client: Any, recipe: BaseRecipe) -> None:
    with one_image_registry.serving(a_layer()) as reference:
        asked = replace(recipe, image=reference)
        made = base_image.ensure(docker_client, asked, way="registry", say=silent)
    again = base_image.ensure(docker_client, asked, say=silent)
    docker_client.images.remove(reference, force=True)

    assert (made.origin, made.fresh, made.reference) == ("registry", True, reference)
    assert (again.image_id, again.fresh) == (made.image_id, False)


def test_a_registry_that_never_says_a_word_is_given_up_soon(docker_client: Any, recipe: BaseRecipe) -> None:
    begun = time.monotonic()
    with one_image_registry.silent() as reference, pytest.raises(EnvironmentUnfit, match="no registry gave"):
        base_image.ensure(docker_client, replace(recipe, image=reference), way="registry", say=silent)

    assert time.monotonic() - begun < 60
