"""Commands of `make prove-closed`, from fetch to evaluation.

They fetch a bundle, move it, load, check, and evaluate without a network. The stand-ins play the part of real weights
and data: a host of this machine serves them, locks of their own declare them, and VLDOCK_STANDIN is never set.
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
UNKNOWN_USER = "12345:12345"
SECONDS = 3000


def tables() -> dict[str, bytes]:
    """Return the bytes of each TSV by benchmark."""
    return {path.stem: path.read_bytes() for path in sorted((ASSETS / "LMUData").glob("*.tsv"))}


def repositories() -> dict[str, dict[str, bytes]]:
    """Return the files of the models and their vision tower.

    They are by repository and name.
    """
    found = {}
    for place in sorted((ASSETS / "huggingface").glob("models--*")):
        files = hub_cache_layout.snapshot(place, hub_cache_layout.commit_of(place) or "")
        found[hub_cache_layout.repo_of(place)] = {path.name: path.read_bytes() for path in files.iterdir()}
    return found


@contextmanager
def serve_assets(locks: Path) -> Iterator[Path]:
    """Serve tables and repositories; yield the folder of the locks that declare them."""
    with fake_hub.running() as hub:
        hub.repos = repositories()
        hub.files = {f"/tsv/{name}.tsv": content for name, content in tables().items()}
        yield write_locks(locks, endpoint=hub.url, tables=tables(), repos=hub.repos, revision=fake_hub.COMMIT)


def accepted_md5s() -> str:
    """Return the value of VLDOCK_ACCEPT_MD5.

    These files differ on purpose from those VLMEvalKit publishes.
    """
    sums = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in tables().items()}
    return ",".join(f"{name}={value}" for name, value in sums.items())


def vldock(*words: object, timeout: float = SECONDS) -> Completed:
    """Run a vldock command in a minimal environment.

    Of this environment it has PATH, HOME and DOCKER_HOST only.
    """
    argv = [str(checkout.root() / ".venv/bin/vldock"), *map(str, words)]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, env=env)


@dataclass(frozen=True)
class LoadedBundle:
    """The folders a bundle was loaded into: data and cache."""

    data: Path
    cache: Path

    @property
    def options(self) -> tuple[object, ...]:
        """The command-line options that name the folders."""
        return "--data", self.data, "--cache", self.cache

    def files(self) -> dict[str, tuple[int, int]]:
        """Return size and time of change of everything there, by path."""
        found = [path for root in (self.data, self.cache) for path in (root, *root.rglob("*"))]
        return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}

    def shard(self, repo: str, number: int = 2) -> Path:
        """Return the path of a shard of a model's weights."""
        place = hub_cache_layout.folder(self.cache / "huggingface", repo)
        (path,) = hub_cache_layout.snapshot(place, fake_hub.COMMIT).glob(f"pytorch_model-{number:05}-of-*.bin")
        return path


class Cluster:
    """A machine without a network: loaded bundles, cells to evaluate, completed commands."""

    def __init__(
        self, root: Path, *, image: str, models: Sequence[str], benchmarks: Sequence[str], samples: str
    ) -> None:
        self.root, self.image, self.locks = root, image, root / "locks"
        self.models, self.benchmarks, self.samples = tuple(models), tuple(benchmarks), samples
        self.bundles = {
            name: LoadedBundle(root / f"of-{name}" / "data", root / f"of-{name}" / "cache") for name in BUNDLES
        }
        self.fetched: dict[str, Completed] = {}
        self.loaded: dict[str, Completed] = {}

    def transfer_bundles(self) -> None:
        """Fetch, move and load both kinds of bundle.

        They are fetched from the host, and each is loaded into empty folders.
        """
        origin, moved = self.root / "connected", self.root / "moved"
        origin.mkdir()
        with serve_assets(self.locks) as locks:
            for name in BUNDLES:
                self.fetched[name] = vldock("fetch", "--bundle", origin / name, "--locks", locks)
        shutil.move(origin, moved)
        for name, bundle in self.bundles.items():
            self.loaded[name] = vldock("load", moved / name, *bundle.options)

    def env_file(self, name: str, *lines: str) -> Path:
        """Write a file for --env-file."""
        path = self.root / f"{name}.env"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def matrix(self, outputs: str, bundle: LoadedBundle, *more: object, env: Sequence[str] = ()) -> MatrixRun:
        """Evaluate the cells without a network and without VLDOCK_STANDIN.

        `env` are the lines of --env-file.
        """
        words = ["matrix", "--image", self.image, "--network", "none", "--gpus", "none", "--samples", self.samples]
        words += ["--models", ",".join(self.models), "--benchmarks", ",".join(self.benchmarks)]
        folder = self.root / outputs
        done = vldock(*words, *bundle.options, "--env-file", self.env_file(outputs, *env), "--outputs", folder, *more)
        return MatrixRun(folder, done)


@dataclass(frozen=True)
class MatrixRun:
    """A matrix that ended: its outputs and the completed command."""

    outputs: Path
    done: Completed

    def cells(self) -> list[Cell]:
        """Return the record of every cell."""
        found = [Cell.load(path.parent) for path in sorted(self.outputs.glob("*/*/*/cell.json"))]
        return [cell for cell in found if cell]

    def predictions(self) -> dict[str, str]:
        """Return the digest of each cell's predictions by model/benchmark, from the passports."""
        paths = sorted(self.outputs.glob(f"*/*/*/{FILE}"))
        return {"/".join(path.parts[-3:-1]): load(path)["outcome"]["predictions_sha256"] for path in paths}
