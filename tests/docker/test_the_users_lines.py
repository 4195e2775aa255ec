"""Every line of the user's documents, as it is typed there: tests/docker/the_users_lines.md."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import users_lines
from support.containers.tracked_containers import TrackedContainer
from support.paths import ROOT
from support.users_lines import Section

HERE = Path(__file__).parent
SECTIONS = users_lines.read_sections(HERE / "the_users_lines.md")
USERS_TAG = "ghcr.io/gwleee/spectravision:4.37"
# what this machine lacks is left out of the user's own docker line: a GPU, a terminal, the network, the real weights
DOCKER = """#!/bin/bash
words=()
while [ $# -gt 0 ]; do
    case "$1" in
        --gpus) shift ;;
        -it) words+=(-i) ;;
        run) words+=(run --network none --label vldock.test.run={run} -e VLDOCK_STANDIN=1) ;;
        *) words+=("$1") ;;
    esac
    shift
done
exec {docker} "${{words[@]}}"
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout's files, as a fresh clone, with the environment of this one."""
    folder = tmp_path_factory.mktemp("clone") / "vldock"
    names = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(names, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture
def users_tag(docker_client: Any, image: Any, session_id: str, tmp_path: Path) -> Iterator[Path]:
    """The image under the user's own tag, and a folder with a `docker` for a machine without GPU and network."""
    image.tag(USERS_TAG)
    folder = tmp_path / "bin"
    folder.mkdir()
    docker = folder / "docker"
    docker.write_text(DOCKER.format(docker=shutil.which("docker"), run=session_id))
    docker.chmod(0o755)
    yield folder
    for left in docker_client.containers.list(all=True, filters={"label": f"vldock.test.run={session_id}"}):
        left.remove(force=True)
    docker_client.images.remove(USERS_TAG, noprune=True)


def in_container(section: Section, start_container: Callable[..., TrackedContainer]) -> str:
    options = section.container_options()
    container = start_container(
        ["sleep", "infinity"],
        environment=dict(pair.split("=", 1) for pair in options.e),
        user=options.user,
        read_only=options.read_only,
        tmpfs=options.tmpfs,
        mounts={HERE / "given": "/opt/given:ro"},
    )
    for name in section.given:
        made = container.exec(["python", f"/opt/given/{name}.py"])
        assert made.exit_code == 0, made.text
    done = container.exec(["bash", "-c", f"exec 2>&1\ncd /workspace\n{section.script()}"])
    return done.stdout


def on_host(section: Section, clone: Path, users_tag: Path, image: Any) -> str:
    kept = {name: os.environ[name] for name in ("HOME", "DOCKER_HOST", "LANG") if name in os.environ}
    path = f"{users_tag}:{clone}/.venv/bin:{os.environ['PATH']}"
    environment = {**kept, "PATH": path, "PYTHONPATH": f"{clone}/src", "CLONE": str(clone), "IMAGE_ID": image.id}
    given = "".join(f"bash {HERE / 'given' / name}.sh > /dev/null || exit\n" for name in section.given)
    argv = ["bash", "-c", f"exec 2>&1 < /dev/null\n{given}{section.script()}"]
    pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(argv, cwd=clone, env=environment, **pipe) as shell:
        try:
            return shell.communicate(timeout=1800)[0]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)  # a server the section was given


def as_parameter(section: Section) -> Any:
    """Return the section as a test's parameter; those on the host share the user's tag, and run one after the other."""
    alone = [pytest.mark.xdist_group("the user's tag")] if section.where.split()[0] == "host" else []
    return pytest.param(section, id=section.name, marks=alone)


@pytest.mark.parametrize("section", map(as_parameter, SECTIONS))
def test_the_lines_do_what_the_file_says(
    section: Section,
    start_container: Callable[..., TrackedContainer],
    request: pytest.FixtureRequest,
) -> None:
    if section.where.split()[0] == "host":
        printed = on_host(section, *(request.getfixturevalue(name) for name in ("clone", "users_tag", "image")))
    else:
        printed = in_container(section, start_container)

    problems = section.problems(printed)

    assert not problems, "\n".join(problems)
