"""OS packages of the image and its build stage: exact versions.

They are recorded and compared. The record is locks/os-packages.json. A distribution's archive moves on: without a
snapshot (--apt-snapshot) a later build meets later packages. The drift is reported by package, so that layers
which differ are explained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldock.common.errors import InputRefused
from vldock.common.filesystem.atomic import write_json
from vldock.common.image_paths import BUILD_PACKAGES
from vldock.host.images import files as image_files

FILE = "locks/os-packages.json"
STATUS = "/var/lib/dpkg/status"


@dataclass(frozen=True)
class OsPackages:
    """Package versions of the shipped image and of its build stage.

    Each maps package to version: `image` for the shipped image, `build` for the stage that installed the wheels.
    """

    image: Mapping[str, str]
    build: Mapping[str, str]

    def save(self, path: Path) -> None:
        """Write the record, packages in order."""
        write_json(path, {name: dict(sorted(part.items())) for name, part in asdict(self).items()})

    @classmethod
    def load(cls, path: Path) -> OsPackages:
        """Read a record; raises InputRefused where the file is none."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(dict(raw["image"]), dict(raw["build"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputRefused(
                f"{path} is no record of OS packages: {error}", hint="vldock os-packages --record"
            ) from error


def parse_dpkg_status(status: str) -> dict[str, str]:
    """Return {package: version} of the installed packages in dpkg's status file."""
    found = {}
    for block in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line[0].isspace())
        if fields.get("Status", "").endswith(" installed"):
            found[fields["Package"]] = fields["Version"]
    return found


def parse_versions(text: str) -> dict[str, str]:
    """Return {package: version} of lines NAME=VERSION."""
    return dict(line.split("=", 1) for line in text.split())


def read(client: Any, image: str) -> OsPackages:
    """Return the OS packages of an image in the engine.

    Raises InputRefused for an image that is not of this project's Dockerfile.
    """
    files = image_files.read(client, image, [STATUS, BUILD_PACKAGES])
    status, build = files[STATUS], files[BUILD_PACKAGES]
    if status is None or build is None:
        missing = STATUS if status is None else BUILD_PACKAGES
        raise InputRefused(f"{image} has no {missing}", expected="an image of this project's Dockerfile")
    return OsPackages(parse_dpkg_status(status.decode()), parse_versions(build.decode()))


def drift(recorded: OsPackages, actual: OsPackages) -> list[str]:
    """Return one line per package of another version than the record."""
    lines = []
    for part in ("image", "build"):
        was, now = getattr(recorded, part), getattr(actual, part)
        for name in sorted(was.keys() | now.keys()):
            if was.get(name) != now.get(name):
                lines.append(f"{part}: {name} {was.get(name, 'not there')} -> {now.get(name, 'not there')}")
    return lines
