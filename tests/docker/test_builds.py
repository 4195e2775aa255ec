"""Image builds: a changed hash is refused by name, an edit on the host side rebuilds nothing."""

from __future__ import annotations

import http.server
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vldock.host.build import image as image_build
from vldock.host.docker_engine import docker_cli
from vldock.host.images import files as image_files
from vldock.host.util import checkout
from vldock.host.util.console import Say

INPUTS = (*checkout.IMAGE_INPUTS, "src/vldock/host", ".dockerignore")


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """An editable copy of the files a build reads."""
    for name in INPUTS:
        source = repository / name
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, symlinks=True, ignore=ignore)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tmp_path / name)
    return tmp_path


def request_like(image: Any, **changes: Any) -> image_build.BuildRequest:
    """Return a build request with the arguments of the image under test."""
    labels = image.labels
    return image_build.BuildRequest(
        base=labels["org.opencontainers.image.base.name"],
        ca=image_build.ca_bundle(None),
        version=labels["org.opencontainers.image.version"],
        revision=labels["org.opencontainers.image.revision"],
        lock_sha256=labels["vldock.lock.sha256"],
        **changes,
    )


@pytest.fixture
def say() -> tuple[list[str], Say]:
    lines: list[str] = []
    return lines, lines.append


def test_one_changed_hash_refuses_the_build_and_names_the_package(image, copy, say):
    lock = copy / checkout.LOCK
    text = lock.read_text()
    block = re.search(r"^pip==.*?(?=^\S)", text, flags=re.MULTILINE | re.DOTALL)
    assert block
    flipped = re.sub(r"sha256:(.)", lambda found: "sha256:" + ("1" if found[1] == "0" else "0"), block[0])
    lock.write_text(text.replace(block[0], flipped))
    request = request_like(image, tag="vldock-test:refused", target="deps")
    with pytest.raises(image_build.BuildError) as refused:
        image_build.build(request, cli=docker_cli.require_builder(), folder=copy, say=say[1])
    assert "pip" in refused.value.render()
    assert "DO NOT MATCH THE HASHES" in "\n".join(say[0])


def test_an_edit_on_the_host_side_rebuilds_no_layer(image, copy, say, docker_client):
    with (copy / "src/vldock/host/__init__.py").open("a") as stream:
        stream.write("# edited\n")
    image_build.build(
        request_like(image, tag="vldock-test:warm"), cli=docker_cli.require_builder(), folder=copy, say=say[1]
    )
    warm = docker_client.images.get("vldock-test:warm")
    docker_client.images.remove("vldock-test:warm", noprune=True)
    assert warm.attrs["RootFS"]["Layers"] == image.attrs["RootFS"]["Layers"]


class SnapshotArchive(http.server.BaseHTTPRequestHandler):
    """An archive of package snapshots that redirects to Debian's current archive and records the paths."""

    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Redirect /debian/TIME/... to Debian's own host."""
        self.paths.append(self.path)
        _, archive, _, *rest = self.path.split("/")
        host = "security.debian.org" if archive == "debian-security" else "deb.debian.org"
        self.send_response(302)
        self.send_header("Location", f"http://{host}/{archive}/{'/'.join(rest)}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def snapshots() -> Iterator[str]:
    """The URL of an archive of snapshots on loopback."""
    SnapshotArchive.paths.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SnapshotArchive) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_os_packages_come_from_the_snapshot_that_was_asked_for(image, copy, say, docker_client, snapshots):
    tag, time = "vldock-test:snapshot", "20261121T000000Z"
    request = request_like(image, tag=tag, target="base", apt_snapshot=time, apt_archive=snapshots)
    image_build.build(request, cli=docker_cli.require_builder(), folder=copy, say=say[1])
    sources = image_files.read(docker_client, tag, ["/etc/apt/sources.list"])["/etc/apt/sources.list"]
    docker_client.images.remove(tag)
    assert {path.split("/")[2] for path in SnapshotArchive.paths} == {time}
    assert any(path.endswith(".deb") for path in SnapshotArchive.paths)
    assert all(time in line for line in sources.decode().splitlines())
