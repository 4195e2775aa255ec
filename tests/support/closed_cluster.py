"""What `make prove-closed` proves, as a user types it: fetched into a bundle, carried, loaded, checked, evaluated.

The stand-ins play the part of real weights and data: a host of this machine serves them, locks of their own declare
them, and VLDOCK_STANDIN is never set.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import fake_hub
from support.tiny_weights import write_locks
from vldock.common import hub_cache_layout
from vldock.common.cell_record import Cell
from vldock.common.passport import FILE, load
from vldock.host.util import checkout
from vldock.image.standin.manifest import ASSETS

Completed = subprocess.CompletedProcess[str]
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
BUNDLES = ("bundle", "bundle.tar.zst")
SOMEBODY = "12345:12345"
SECONDS = 3000


def tables() -> dict[str, bytes]:
    """Return {benchmark: the bytes of its TSV}."""
    return {path.stem: path.read_bytes() for path in sorted((ASSETS / "LMUData").glob("*.tsv"))}


def repositories() -> dict[str, dict[str, bytes]]:
    """Return {repository: {file: bytes}} of the models and their vision tower."""
    found = {}
    for place in sorted((ASSETS / "huggingface").glob("models--*")):
        files = hub_cache_layout.snapshot(place, hub_cache_layout.commit_of(place) or "")
        found[hub_cache_layout.repo_of(place)] = {path.name: path.read_bytes() for path in files.iterdir()}
    return found


@contextmanager
def host(locks: Path) -> Iterator[Path]:
    """Serve them, and yield the folder of the locks that declare them."""
    with fake_hub.running() as hub:
        hub.repos = repositories()
        hub.files = {f"/tsv/{name}.tsv": content for name, content in tables().items()}
        yield write_locks(locks, endpoint=hub.url, tables=tables(), repos=hub.repos, revision=fake_hub.COMMIT)


def md5s() -> str:
    """Return the value of VLDOCK_ACCEPT_MD5: these are not the files VLMEvalKit publishes, and that is on purpose."""
    sums = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in tables().items()}
    return ",".join(f"{name}={value}" for name, value in sums.items())


def vldock(*words: object, timeout: float = SECONDS) -> Completed:
    """Run a command of vldock without any variable of ours but PATH and HOME: what it needs is on its command line."""
    argv = [str(checkout.root() / ".venv/bin/vldock"), *map(str, words)]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, env=env)


@dataclass(frozen=True)
class Place:
    """Where a bundle was loaded: its data, its cache."""

    data: Path
    cache: Path

    @property
    def options(self) -> tuple[object, ...]:
        """The options that name it."""
        return "--data", self.data, "--cache", self.cache

    def files(self) -> dict[str, tuple[int, int]]:
        """Return {path: (size, time of change)} of everything there."""
        found = [path for root in (self.data, self.cache) for path in (root, *root.rglob("*"))]
        return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}

    def shard(self, repo: str, number: int = 2) -> Path:
        """Return a shard of a model's weights."""
        place = hub_cache_layout.folder(self.cache / "huggingface", repo)
        (path,) = hub_cache_layout.snapshot(place, fake_hub.COMMIT).glob(f"pytorch_model-{number:05}-of-*.bin")
        return path


class Cluster:
    """A machine without a network: places bundles were loaded to, the cells to evaluate, and everything vldock said."""

    def __init__(
        self, root: Path, *, image: str, models: Sequence[str], benchmarks: Sequence[str], samples: str
    ) -> None:
        self.root, self.image, self.locks = root, image, root / "locks"
        self.models, self.benchmarks, self.samples = tuple(models), tuple(benchmarks), samples
        self.places = {name: Place(root / f"of-{name}" / "data", root / f"of-{name}" / "cache") for name in BUNDLES}
        self.fetched: dict[str, Completed] = {}
        self.loaded: dict[str, Completed] = {}

    def carry(self) -> None:
        """Fetch both kinds of bundle while the host is there, move them, and load each into an empty place."""
        origin, carried = self.root / "connected", self.root / "carried"
        origin.mkdir()
        with host(self.locks) as locks:
            for name in BUNDLES:
                self.fetched[name] = vldock("fetch", "--bundle", origin / name, "--locks", locks)
        shutil.move(origin, carried)
        for name, place in self.places.items():
            self.loaded[name] = vldock("load", carried / name, *place.options)

    def env_file(self, name: str, *lines: str) -> Path:
        """Write a file for --env-file."""
        path = self.root / f"{name}.env"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def matrix(self, outputs: str, place: Place, *more: object, env: Sequence[str] = ()) -> Run:
        """Evaluate the cells without a network and without VLDOCK_STANDIN; `env` are the lines of --env-file."""
        words = ["matrix", "--image", self.image, "--network", "none", "--gpus", "none", "--samples", self.samples]
        words += ["--models", ",".join(self.models), "--benchmarks", ",".join(self.benchmarks)]
        folder = self.root / outputs
        done = vldock(*words, *place.options, "--env-file", self.env_file(outputs, *env), "--outputs", folder, *more)
        return Run(folder, done)


@dataclass(frozen=True)
class Run:
    """A matrix that ended: its outputs, and what was said."""

    outputs: Path
    done: Completed

    def cells(self) -> list[Cell]:
        """Return the record of every cell."""
        found = [Cell.load(path.parent) for path in sorted(self.outputs.glob("*/*/*/cell.json"))]
        return [cell for cell in found if cell]

    def predictions(self) -> dict[str, str]:
        """Return {model/benchmark: what identifies its predictions}, from the passports."""
        paths = sorted(self.outputs.glob(f"*/*/*/{FILE}"))
        return {"/".join(path.parts[-3:-1]): load(path)["outcome"]["predictions_sha256"] for path in paths}
