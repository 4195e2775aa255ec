"""Verification of caches: content against checksums, without a network.

A blob of the Hub is named after its content: the SHA-256 of a large file, git's SHA-1 of a small one. An Arrow stream
ends in its own marker. A benchmark's md5 is declared in common/matrix.py, its other
editions in locks/datasets.json.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vldock.common import hashing, hub_cache_layout
from vldock.common.filesystem import permission_hints
from vldock.common.filesystem.atomic import write_text
from vldock.common.filesystem.permissions import whoami
from vldock.common.matrix import BENCHMARKS
from vldock.common.tables import editions
from vldock.common.tables.editions import Editions
from vldock.host.cache.items import PARTIAL
from vldock.host.cache.locations import CacheLocations, list_folder, list_repositories

LOCK = Path(__file__).resolve().parents[4] / "locks" / "datasets.json"  # of a checkout; without one no edition is known
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


@dataclass(frozen=True)
class VerifyResult:
    """Result for one file: size in bytes, problem (None: none), remedy.

    `checked` is False where no checksum is known.
    """

    path: Path
    size: int
    wrong: str | None = None
    cure: str | None = None
    checked: bool = True


def verify(locations: CacheLocations, *, workers: int = 4) -> list[VerifyResult]:
    """Read every blob, Arrow file and benchmark, and return one result each.

    Then one for each wrong reference.
    """
    looks = [*_blobs(locations), *_arrow_files(locations), *_benchmarks(locations)]
    with ThreadPoolExecutor(max_workers=workers) as pool:
        read = list(pool.map(lambda look: look(), looks))
    wrong = [one for one in _references(locations) if one.flaw]
    return [*read, *(VerifyResult(one.path, one.path.stat().st_size, one.flaw, one.cure) for one in wrong)]


def _blobs(locations: CacheLocations) -> Iterator[Callable[[], VerifyResult]]:
    for hub in locations.hubs:
        for repository in list_repositories(hub):
            for blob in list_folder(repository / "blobs"):
                if blob.is_file() and not blob.name.endswith(PARTIAL):
                    yield partial(_blob, blob)


def _blob(path: Path) -> VerifyResult:
    size = path.stat().st_size
    if not hub_cache_layout.BLOB.fullmatch(path.name):
        return VerifyResult(path, size, checked=False)
    seen = hub_cache_layout.content_name(path, path.name)
    if seen == path.name:
        return VerifyResult(path, size)
    cure = f"rm {path}, then load it with a network"
    return VerifyResult(path, size, f"its content has the digest {seen[:12]}, not {path.name[:12]}", cure)


def _references(locations: CacheLocations) -> Iterator[hub_cache_layout.Reference]:
    for hub in locations.hubs:
        for repository in list_repositories(hub):
            yield from hub_cache_layout.read_references(repository)


def repair(locations: CacheLocations) -> list[hub_cache_layout.Reference]:
    """Rewrite every broken reference of known meaning; return the originals.

    Raises EnvironmentUnfit where one cannot be written.
    """
    broken = [one for one in _references(locations) if one.mended]
    for one in broken:
        try:
            write_text(one.path, str(one.mended), suffix=hub_cache_layout.UNFINISHED[0])
        except OSError as error:
            raise permission_hints.write_error(error, one.path.parent, whoami()) from error
    return broken


def _arrow_files(locations: CacheLocations) -> Iterator[Callable[[], VerifyResult]]:
    for root in locations.arrows:
        for info in sorted(root.glob("*/*/*/*/dataset_info.json")):
            if not info.parent.name.endswith(PARTIAL):
                yield partial(_prepared, info)


def _prepared(info: Path) -> VerifyResult:
    """Check one prepared data set: every split present, every Arrow file complete."""
    files = sorted(info.parent.glob("*.arrow"))
    size = sum(file.stat().st_size for file in files)
    cure = f"rm -r {info.parent}, then load it with a network"
    try:
        splits = json.loads(info.read_text(encoding="utf-8")).get("splits") or {}
    except ValueError as error:
        return VerifyResult(info, size, f"is no JSON: {error}", cure)
    absent = [name for name in splits if not any(_of_split(file.stem, name) for file in files)]
    short = [file.name for file in files if not _ends_well(file)]
    wrong = [*(f"split {name} is not there" for name in absent), *(f"{name} is cut short" for name in short)]
    return VerifyResult(info.parent, size, "; ".join(wrong) or None, cure if wrong else None)


def _of_split(stem: str, split: str) -> bool:
    """`plants-train` and `plants-train-00000-of-00002` are of split train."""
    return re.search(rf"(^|-){re.escape(split)}(-\d{{5}}-of-\d{{5}})?$", stem) is not None


def _ends_well(path: Path) -> bool:
    size = path.stat().st_size
    if size < len(END_OF_STREAM):
        return False
    with path.open("rb") as file:
        file.seek(-len(END_OF_STREAM), os.SEEK_END)
        return file.read() == END_OF_STREAM


def _benchmarks(locations: CacheLocations) -> Iterator[Callable[[], VerifyResult]]:
    known = editions.read_editions(LOCK)
    for benchmark in BENCHMARKS if locations.data else ():
        path = (locations.data or Path()) / f"{benchmark.name}.tsv"
        if path.is_file():
            yield partial(_benchmark, path, editions.wanted_md5(benchmark.name, benchmark.md5, known), known)


def _benchmark(path: Path, md5: str | None, known: Editions) -> VerifyResult:
    size = path.stat().st_size
    seen = hashing.md5_file(path)
    if seen == md5:
        return VerifyResult(path, size)
    cure = f"move it away to have it downloaded, or accept it: {editions.accept_setting(path.stem, seen, known)}"
    return VerifyResult(path, size, f"md5 {seen}, not the declared {md5}", cure)
