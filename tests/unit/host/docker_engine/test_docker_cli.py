"""A docker command that can build is found among several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.host.docker_engine import docker_cli
from vldock.host.util.process import Result

NEW = "Docker version 28.2.2, build e6534b4"
OLD = "Docker version 20.10.24+dfsg1, build 297e128"


def machine(versions: dict[str, str], *, buildx: Sequence[str] = ()) -> Callable[[Sequence[str]], Result]:
    """Return a runner on which these commands exist."""

    def run(argv: Sequence[str]) -> Result:
        if argv[1] == "--version":
            return Result(tuple(argv), 0, versions[argv[0]])
        return Result(tuple(argv), 0 if argv[0] in buildx else 1)

    return run


def test_a_new_client_without_buildx_is_passed_over_for_an_old_one() -> None:
    run = machine({"/a/docker": NEW, "/b/docker": OLD})

    cli = docker_cli.require_builder(["/a/docker", "/b/docker"], run=run)

    assert (cli.path, cli.version, cli.buildkit) == ("/b/docker", "20.10.24+dfsg1", "built in")


def test_a_new_client_with_buildx_is_taken() -> None:
    run = machine({"/a/docker": NEW, "/b/docker": OLD}, buildx=["/a/docker"])

    assert docker_cli.require_builder(["/a/docker", "/b/docker"], run=run).path == "/a/docker"


def test_podman_under_dockers_name_is_no_docker() -> None:
    run = machine({"/a/docker": "podman version 4.3.1"})

    assert docker_cli.find_installed(["/a/docker"], run=run) == []


def test_when_none_can_build_the_error_names_them_and_the_way_out() -> None:
    run = machine({"/a/docker": NEW})

    with pytest.raises(EnvironmentUnfit) as caught:
        docker_cli.require_builder(["/a/docker"], run=run)

    assert "/a/docker 28.2.2" in caught.value.message
    assert "docker-buildx" in (caught.value.hint or "")


def test_the_same_file_by_two_names_counts_once(tmp_path: Path) -> None:
    real = tmp_path / "one" / "docker"
    real.parent.mkdir()
    real.write_text("#!/bin/sh\n")
    real.chmod(0o755)
    (tmp_path / "two").symlink_to(real.parent)

    found = [
        name for name in docker_cli.find_on_path(f"{tmp_path}/one:{tmp_path}/two") if name.startswith(str(tmp_path))
    ]

    assert found == [str(real)]
