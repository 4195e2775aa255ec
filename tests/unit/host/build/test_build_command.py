"""`vldock build` runs the command users type, keeps secrets out of it, and names what failed."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import ImageNotFound

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.build import image as image_build
from vldock.host.build.image import BuildRequest
from vldock.host.build.log_parser import BuildLog

PIP_LOG = """\
#9 [lock 4/9] RUN pip install --require-hashes -r lock
#9 12.31 ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package
#9 12.31     six==1.16.0 from https://index.example/six.whl (from -r /build/lock (line 4)):
#9 12.31         Expected sha256 1111
#9 12.31              Got        2222
#9 12.31
#9 ERROR: executor failed running [/bin/bash -eo pipefail -c pip install]: exit code: 1
"""
UV_LOG = """\
#12 [deps 2/3] RUN uv pip sync lock
#12 3.1 error: Failed to download `numpy==1.26.4`
#12 3.1   Caused by: Hash mismatch for `numpy==1.26.4`
#12 ERROR: process "/bin/sh -c uv" did not complete successfully: exit code: 2
"""


def fed(text: str) -> BuildLog:
    log = BuildLog()
    for line in text.splitlines():
        log.feed(line)
    return log


def test_the_command_is_the_one_a_user_types() -> None:
    argv = BuildRequest(base="vldock-base:bookworm").argv()

    head = "docker build --network=host -f docker/transformers-4.37/Dockerfile -t vldock:4.37"
    assert " ".join(argv).startswith(head)
    assert argv[-1] == "."
    assert "BASE=vldock-base:bookworm" in argv


def test_options_become_arguments_of_docker(tmp_path: Path) -> None:
    argv = BuildRequest(base="b", target="lock", no_cache=True, ca=tmp_path / "ca.pem").argv()

    assert argv[argv.index("--target") + 1] == "lock"
    assert "--no-cache" in argv
    assert f"id=ca,src={tmp_path / 'ca.pem'}" in argv


def test_an_index_url_is_a_private_file_and_never_a_word_of_the_command() -> None:
    with image_build.index_secret("https://me:secret@index.example/simple") as path:
        assert path is not None
        argv = BuildRequest(base="b", index_file=path).argv()
        mode, text = stat.S_IMODE(path.stat().st_mode), path.read_text()

    assert (mode, text) == (0o600, "https://me:secret@index.example/simple")
    assert not any("secret@" in word for word in argv)
    assert not path.exists()


def test_a_ca_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        image_build.ca_bundle(tmp_path / "none.pem")


@pytest.mark.parametrize(
    ("text", "package", "stage"),
    [(PIP_LOG, "six==1.16.0", "lock"), (UV_LOG, "numpy==1.26.4", "deps")],
    ids=["pip", "uv"],
)
def test_a_wrong_hash_is_told_with_package_and_stage(text: str, package: str, stage: str) -> None:
    log = fed(text)

    error = image_build.failure(log, code=1)

    assert (log.mismatches, log.stage) == ([package], stage)
    assert f"hash mismatch for {package}" in error.message


def test_another_failure_names_its_stage_and_passes_the_code_on() -> None:
    step = "#7 [verify 3/3] RUN --mount=type=cache,target=/c pytest"

    error = image_build.failure(fed(f"{step}\n#7 9.1 ERROR: no tests ran\n#7 ERROR: failed: exit code: 1\n"), code=17)

    assert error.message == "docker build failed in stage verify, step 3/3 (RUN pytest): ERROR: no tests ran"
    assert error.exit_code == 17


def test_too_little_disk_stops_a_build_before_it_starts(tmp_path: Path) -> None:
    def missing(tag: str) -> Any:
        raise ImageNotFound(tag)

    client = SimpleNamespace(info=lambda: {"DockerRootDir": str(tmp_path)}, images=SimpleNamespace(get=missing))

    with pytest.raises(EnvironmentUnfit, match="GB free"):
        image_build.check_disk(client, tag="x", need_gb=10**9)
