"""`docker build` of the image: arguments, disk space, one-line failure.

The command is the one a user types, with its arguments filled in.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock import __version__
from vldock.common import hashing
from vldock.common.errors import EnvironmentUnfit, UsageError, VldockError
from vldock.host.build.log_parser import BuildLog
from vldock.host.docker_engine import docker_cli
from vldock.host.util import checkout, process
from vldock.host.util.console import Say, size_text

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
COLD_GB = 30  # wheels 3 GB, their cache mount 3 GB, the tree 6 GB, staged and copied: measured in docs, rounded up
WARM_GB = 8
ENV = {"DOCKER_BUILDKIT": "1"}


class BuildError(VldockError):
    """A failed `docker build`; exits with docker's own code."""

    def __init__(self, message: str, *, code: int, expected: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, expected=expected, hint=hint)
        self.exit_code = code


@dataclass(frozen=True)
class BuildRequest:
    """Arguments of a build.

    `index_file` holds an index URL, which may carry a password.
    """

    base: str
    tag: str = checkout.IMAGE_TAG
    target: str | None = None
    no_cache: bool = False
    ca: Path | None = None
    index_file: Path | None = None
    apt_snapshot: str | None = None
    apt_archive: str | None = None
    progress: str = "plain"
    version: str = __version__
    revision: str = "unknown"
    lock_sha256: str = "unknown"

    def argv(self, docker: str = "docker") -> list[str]:
        """Return the command, to be run in the root of the checkout."""
        words = [docker, "build", "--network=host", "-f", checkout.DOCKERFILE, "-t", self.tag]
        arguments = {
            "BASE": self.base,
            "VERSION": self.version,
            "REVISION": self.revision,
            "LOCK_SHA256": self.lock_sha256,
        }
        if self.apt_snapshot:
            arguments["APT_SNAPSHOT"] = self.apt_snapshot
        if self.apt_archive:
            arguments["APT_ARCHIVE"] = self.apt_archive
        for name, value in arguments.items():
            words += ["--build-arg", f"{name}={value}"]
        for secret, path in (("ca", self.ca), ("pip_index", self.index_file)):
            if path is not None:
                words += ["--secret", f"id={secret},src={path}"]
        words += ["--target", self.target] if self.target else []
        words += ["--no-cache"] if self.no_cache else []
        return [*words, f"--progress={self.progress}", "."]


def ca_bundle(path: Path | None) -> Path | None:
    """Return the CA bundle for the build's downloads: `path`, SSL_CERT_FILE, or the system's.

    Raises UsageError when `path` is no file.
    """
    if path is not None and not path.is_file():
        raise UsageError(f"--ca {path}: no such file", expected="a file of PEM certificates")
    chosen = path or Path(os.environ.get("SSL_CERT_FILE") or CA_BUNDLE)
    return chosen if chosen.is_file() else None


def from_checkout(folder: Path, base: str, **options: Any) -> BuildRequest:
    """Return the request for this checkout, with its revision and lock as labels.

    `options` are further fields of BuildRequest.
    """
    return BuildRequest(
        base=base,
        revision=checkout.revision(folder),
        lock_sha256=hashing.sha256_file(folder / checkout.LOCK),
        **options,
    )


@contextmanager
def index_secret(url: str | None) -> Iterator[Path | None]:
    """Yield a private file with the index URL, removed after the build.

    As an argument the URL would remain in the image's history.
    """
    if not url:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="vldock-index-") as folder:
        path = Path(folder) / "pip_index"
        path.touch(mode=0o600)
        path.write_text(url, encoding="utf-8")
        yield path


def check_disk(client: Any, *, tag: str, need_gb: float | None = None) -> None:
    """Raise EnvironmentUnfit when the engine's disk has too little room for a build.

    That is 30 GB for a cold build, 8 GB when the image is there, or `need_gb`.
    """
    from docker.errors import ImageNotFound

    folder = Path(client.info().get("DockerRootDir", "/var/lib/docker"))
    if not folder.is_dir():
        return  # a remote engine: its disk cannot be seen from here
    if need_gb is None:
        try:
            client.images.get(tag)
            need_gb = WARM_GB
        except ImageNotFound:
            need_gb = COLD_GB
    free = shutil.disk_usage(folder).free / 1e9
    if free < need_gb:
        raise EnvironmentUnfit(
            f"{folder} has {free:.1f} GB free",
            expected=f"at least {need_gb:g} GB for this build",
            hint="docker system prune, or move it: dockerd --data-root; or --min-free-gb N to go on anyway",
        )


def build(request: BuildRequest, *, cli: docker_cli.DockerCli, folder: Path, say: Say) -> None:
    """Run `docker build`, passing its output on.

    Raises BuildError, naming the stage, and the package of a wrong hash.
    """
    argv = request.argv(cli.path)
    say(process.shell_text(argv, env=ENV))
    if request.progress == "tty":
        done = BuildLog()
        code = _in(folder, argv)
    else:
        done = BuildLog()

        def line(text: str) -> None:
            done.feed(text)
            say(text)

        code = process.stream(argv, on_line=line, env=ENV, cwd=folder)
    if code != 0:
        raise failure(done, code=code)


def _in(folder: Path, argv: list[str]) -> int:
    return process.run_attached(["env", "-C", str(folder), *argv], env=ENV)


def failure(log: BuildLog, *, code: int) -> BuildError:
    """Return the error for a failed build's log."""
    where = f"stage {log.failed_step}" if log.failed_step else "before any stage ran"
    if log.mismatches:
        names = ", ".join(log.mismatches)
        return BuildError(
            f"the build was refused in {where}: hash mismatch for {names}",
            code=code,
            expected=f"the file whose hash stands in {checkout.LOCK}",
            hint=f"git diff {checkout.LOCK}; a new file of the same version is a reason to stop, not to relock",
        )
    return BuildError(
        f"docker build failed in {where}" + (f": {log.cause}" if log.cause else ""),
        code=code,
        hint="the lines above are the failing step's own; vldock build --target STAGE stops before it",
    )


def size_line(client: Any, tag: str) -> str:
    """Return one line on the image: tag, id, size."""
    image = client.images.get(tag)
    return f"{tag} {image.id[:19]} {size_text(image.attrs['Size'])}"
