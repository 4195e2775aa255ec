"""Debian's docker-registry as a process on loopback: stopped, slow, full or locked."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from vldock.host.docker_engine import system_packages
from vldock.host.util.console import silent

PROGRAM = "docker-registry"
SECONDS = 300
USER, PASSWORD = "promoter", "a secret"

CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
http: {{addr: 127.0.0.1:{port}}}
{auth}"""


def require(*programs: tuple[str, str]) -> None:
    """Install the Debian packages of missing programs, as root.

    Takes pairs of program and package.
    """
    missing = [package for program, package in programs if shutil.which(program) is None]
    if missing:
        system_packages.install(missing, log=silent)


@dataclass
class Registry:
    """A registry on 127.0.0.1; `root` is the folder of its blobs."""

    port: int
    root: Path
    config: Path
    process: Any = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self.config.with_suffix(".log").open("ab")
        with log:
            self.process = subprocess.Popen([PROGRAM, "serve", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with suppress(requests.ConnectionError):
                requests.get(f"http://{self.host}/v2/", timeout=SECONDS)
                return
            time.sleep(0.02)
        raise AssertionError(self.config.with_suffix(".log").read_text())

    def stop(self) -> None:
        """Kill it and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def tags(self, name: str) -> dict[str, str]:
        """Return the tags of a repository with their digests.

        Both are as the registry reports them.
        """
        auth = (USER, PASSWORD)
        listed = requests.get(f"http://{self.host}/v2/{name}/tags/list", timeout=SECONDS, auth=auth).json()
        return {tag: self.digest(name, tag) for tag in listed.get("tags") or ()}

    def digest(self, name: str, tag: str) -> str:
        """Return the digest of a tag's manifest."""
        kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
        url, auth = f"http://{self.host}/v2/{name}/manifests/{tag}", (USER, PASSWORD)
        answer = requests.head(url, headers={"Accept": kinds}, timeout=SECONDS, auth=auth)
        return str(answer.headers["Docker-Content-Digest"])


def free_port() -> int:
    """Return an unused port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(folder: Path, *, password: bool = False, root: Path | None = None) -> Iterator[Registry]:
    """Yield a running registry, with or without a password.

    Its blobs are in `root` (default: below `folder`).
    """
    require((PROGRAM, "docker-registry"))
    port, root = free_port(), root or folder / "blobs"
    auth = ""
    if password:
        require(("htpasswd", "apache2-utils"))
        users = folder / "htpasswd"
        made = subprocess.run(["htpasswd", "-nbB", USER, PASSWORD], capture_output=True, text=True, check=True)
        users.write_text(made.stdout)
        auth = f"auth: {{htpasswd: {{realm: test, path: {users}}}}}\n"
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(root=root, port=port, auth=auth))
    registry = Registry(port, root, config)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Yield a folder on a separate disk of this size.

    The disk is a tmpfs; it needs root.
    """
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "vldock-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grow(folder: Path, size: str) -> None:
    """Enlarge a small disk."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@dataclass(frozen=True)
class SlowProxy:
    """Slow proxy: its port and its counter.

    The counter is the file with the number of bytes passed.
    """

    port: int
    counter: Path

    @property
    def passed(self) -> int:
        """Bytes passed so far, both ways."""
        return int(self.counter.read_text()) if self.counter.exists() else 0

    @contextmanager
    def hold_at(self, passed: float) -> Iterator[Path]:
        """Hold back all bytes after `passed` until the block ends.

        The yielded file exists once bytes wait.
        """
        limit, held = self.counter.with_suffix(".limit"), self.counter.with_suffix(".held")
        held.unlink(missing_ok=True)
        limit.with_suffix(".new").write_text(str(passed))
        limit.with_suffix(".new").replace(limit)
        try:
            yield held
        finally:
            limit.unlink()


@contextmanager
def slow(registry: Registry, *, rate: float, pause: float = 0.0) -> Iterator[SlowProxy]:
    """Yield a slow proxy to a registry.

    The rate is bytes/s each way, the pause seconds a connection.
    """
    counter = registry.config.with_suffix(".bytes")
    words = [Path(__file__).parent / "slow_proxy.py", registry.port, rate, pause, counter]
    with subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield SlowProxy(int(process.stdout.readline()), counter)
        finally:
            process.kill()


def is_root() -> bool:
    """Return whether this user is root and can mount disks."""
    return os.geteuid() == 0
