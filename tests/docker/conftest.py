"""Fixtures of the tests that start containers. VLDOCK_IMAGE names the image under test (vldock:4.37)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.containers import tiny_image, tracked_containers
from support.containers.tracked_containers import TrackedContainer

from vldock.host.containers import cleanup
from vldock.host.containers.lifecycle import Completed
from vldock.host.docker_engine import client as engine_client
from vldock.host.util import checkout
from vldock.host.verification import groups as verify_groups

VERIFIED = {name for names in verify_groups.HOST_GROUPS.values() for name in names}

StartContainer = Callable[..., TrackedContainer]
RunInImage = Callable[..., Completed]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests `vldock verify` runs, so that the others can be run alone."""
    for item in items:
        if item.path.name in VERIFIED:
            item.add_marker("verify")


@pytest.fixture(scope="session")
def docker_client() -> Iterator[Any]:
    """A client of the Docker engine; without an engine its error says how to start one."""
    with engine_client.open_client() as client:
        yield client


@pytest.fixture(scope="session")
def session_id(docker_client: Any) -> Iterator[str]:
    """The run label of this session's containers; remaining ones are removed at the end."""
    made = f"test-{uuid.uuid4().hex[:12]}"
    yield made
    cleanup.remove(docker_client, run_id=made)


@pytest.fixture(scope="session")
def image(docker_client: Any) -> Any:
    """The image under test, as the SDK's object."""
    from docker.errors import ImageNotFound

    name = os.environ.get("VLDOCK_IMAGE", checkout.IMAGE_TAG)
    try:
        return docker_client.images.get(name)
    except ImageNotFound:
        pytest.fail(f"there is no image {name} here; build it: vldock build --tag {name}", pytrace=False)


@pytest.fixture(scope="session")
def run_in_image(docker_client: Any, image: Any, session_id: str) -> RunInImage:
    """Run argv in a new container without a network; return exit code, stdout, stderr."""

    def run(argv: Sequence[str], *, timeout: float = tracked_containers.SECONDS, **options: Any) -> Completed:
        return tracked_containers.run_to_end(
            docker_client, tracked_containers.make_spec(image.id, argv, run_id=session_id, **options), timeout=timeout
        )

    return run


def _factory(client: Any, image: str, session_id: str, stack: ExitStack) -> StartContainer:
    def make(argv: Sequence[str] = ("sleep", "infinity"), **options: Any) -> TrackedContainer:
        return stack.enter_context(
            tracked_containers.running(client, tracked_containers.make_spec(image, argv, run_id=session_id, **options))
        )

    return make


@pytest.fixture
def start_container(docker_client: Any, image: Any, session_id: str) -> Iterator[StartContainer]:
    """Start containers of the image; removed at the end of the test."""
    with ExitStack() as stack:
        yield _factory(docker_client, image.id, session_id, stack)


@pytest.fixture(scope="module")
def container_factory(docker_client: Any, image: Any, session_id: str) -> Iterator[StartContainer]:
    """Start containers of the image; removed at the end of the module."""
    with ExitStack() as stack:
        yield _factory(docker_client, image.id, session_id, stack)


@pytest.fixture(scope="session")
def tiny(docker_client: Any, session_id: str) -> Iterator[str]:
    """The tiny image: the base and a shell script that answers like `python -m vldock.image evaluate`."""
    with tiny_image.committed(docker_client, name=f"vldock-tiny:{session_id}", run_id=session_id) as name:
        yield name


@pytest.fixture
def start_tiny_container(docker_client: Any, tiny: str, session_id: str) -> Iterator[StartContainer]:
    """Start containers of the tiny image; removed at the end of the test."""
    with ExitStack() as stack:
        yield _factory(docker_client, tiny, session_id, stack)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this checkout."""
    return checkout.root()
