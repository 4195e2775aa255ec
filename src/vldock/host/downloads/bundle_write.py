"""Writer of a bundle: benchmarks, weights and a manifest for a closed cluster.

One folder, or one .tar.zst:

    manifest.json            every file with its size and sha256; every repository with its commit and its files
    LMUData/NAME.tsv         benchmarks
    huggingface/models--*/blobs/*   weights (datasets--*: data sets); no links, so that any file system can carry it

`vldock load` makes the hub cache of it again.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import zstandard

from vldock import __version__
from vldock.common import hashing
from vldock.common.filesystem.atomic import write_json
from vldock.host.downloads.execute import FetchReport, repos_for_lock, require_bytes
from vldock.host.downloads.hub_snapshot import as_record
from vldock.host.downloads.partial_file import rename_durably
from vldock.host.errors import disk_error
from vldock.host.util.console import size_text

MANIFEST = "manifest.json"
DATA = "LMUData"
ARCHIVE = ".tar.zst"
KIND = "vldock bundle"
SCHEMA = 1
LEVEL = 3  # weights do not compress; text does


@dataclass(frozen=True)
class Bundle:
    """A written bundle: path, files, bytes, and the sha256 of its manifest."""

    path: Path
    files: int
    size: int
    manifest_sha256: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "path": str(self.path)}

    def lines(self) -> list[str]:
        """Return the lines a person reads."""
        return [
            f"bundle: {self.path}, {self.files} files, {size_text(self.size)}",
            f"manifest sha256: {self.manifest_sha256}",
            f"there: vldock load {self.path.name} --data FOLDER --cache FOLDER",
        ]


def staging_folder(path: Path) -> Path:
    """Return the folder a bundle is gathered in.

    The bundle itself, or one beside an archive, kept until that is complete.
    """
    return path.with_name(f"{path.name}.staging") if path.name.endswith(ARCHIVE) else path


def make(report: FetchReport, *, stage: Path, path: Path) -> Bundle:
    """Write the manifest of a fetch into `stage`; pack it for an archive.

    The stage of an archive is removed.

    Raises EnvironmentUnfit (NoRoom) when the archive does not fit.
    """
    files = [
        {
            "path": str(item.request.path.relative_to(stage)),
            "size": item.checksums.size,
            "sha256": item.checksums.sha256,
        }
        for item in report.fetched
        if item.checksums
    ]
    files.sort(key=lambda item: str(item["path"]))
    value = {
        "schema": SCHEMA,
        "kind": KIND,
        "vldock": __version__,
        "benchmarks": [item.name for item in report.job.data],
        "repositories": [as_record(repo) for repo in repos_for_lock(report)],
        "files": files,
    }
    manifest = write_json(stage / MANIFEST, value)
    digest, size = hashing.sha256_file(manifest), sum(item.checksums.size for item in report.fetched if item.checksums)
    if path != stage:
        try:
            require_bytes(size, path.parent)
            _pack(stage, path, [MANIFEST, *(str(item["path"]) for item in files)])
        except OSError as error:
            raise disk_error(error, path) from error
        shutil.rmtree(stage)
    return Bundle(path, len(files), size, digest)


def _pack(stage: Path, path: Path, names: list[str]) -> None:
    """Write the files as a tar, the manifest first.

    It names neither who packed it nor when.
    """
    part = path.with_name(f"{path.name}.part")
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with part.open("wb") as raw:
        with packer.stream_writer(raw, closefd=False) as squeezed, tarfile.open(fileobj=squeezed, mode="w|") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size, member.mode = (stage / name).stat().st_size, 0o644
                with (stage / name).open("rb") as stream:
                    tar.addfile(member, stream)
        raw.flush()
        os.fsync(raw.fileno())
    rename_durably(part, path)


def parse_manifest(stream: io.BufferedIOBase | Any) -> dict[str, Any]:
    """Return the manifest as it is written; raises ValueError where it is none."""
    raw = json.loads(stream.read())
    if not isinstance(raw, dict) or raw.get("kind") != KIND or raw.get("schema") != SCHEMA:
        raise ValueError(f"not the manifest of a {KIND}, schema {SCHEMA}")
    return raw
