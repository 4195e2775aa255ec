"""What the stand-ins' assets are: manifest.json, with a digest of every file. Standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vldock.common.errors import InputRefused

ASSETS = Path(__file__).parent / "assets"
MANIFEST = "manifest.json"
REMAKE = "restore the folder from the repository, or make it again with `make standin`"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of manifest.json.

    Attributes:
        seed, recipe: what the assets were made from; `recipe` is the sha256 of the recipe's modules.
        packages: versions of the packages that made them.
        files: sha256 of every file, by path below the assets; links stand for what they point to.
        tables: md5 (as VLMEvalKit checks it) and number of rows of each benchmark's TSV, by benchmark.
        marks: per model, how its training ended.
    """

    seed: int
    recipe: str
    packages: Mapping[str, str]
    files: Mapping[str, str]
    tables: Mapping[str, Mapping[str, str | int]]
    marks: Mapping[str, Mapping[str, float]]

    def digest(self) -> str:
        """Return 12 hex digits that change with any file."""
        return hashlib.sha256(json.dumps(dict(self.files), sort_keys=True).encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5_of(path: Path) -> str:
    """Return the md5 of a file's content, as VLMEvalKit compares it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def recipe_digest() -> str:
    """Return one sha256 over this package's modules, which are the recipe (activation and reading apart)."""
    home = Path(__file__).parent
    skipped = {home / name for name in ("__init__.py", "activate.py", "manifest.py", "sensitivity.py")}
    modules = sorted(path for path in home.rglob("*.py") if path not in skipped)
    listing = "\n".join(f"{path.relative_to(home).as_posix()} {sha256_of(path)}" for path in modules)
    return hashlib.sha256(listing.encode()).hexdigest()


def list_files(assets: Path) -> dict[str, str]:
    """Return the sha256 of every file below `assets` but the manifest, by relative path."""
    paths = sorted(path for path in assets.rglob("*") if path.is_file() and path.name != MANIFEST)
    return {path.relative_to(assets).as_posix(): sha256_of(path) for path in paths}


def load_manifest(assets: Path = ASSETS) -> Manifest:
    """Return the manifest of `assets`.

    Raises:
        InputRefused: there is none, or it is not one.
    """
    path = assets / MANIFEST
    try:
        return Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputRefused(f"{path} does not exist", expected="the stand-ins' manifest", hint=REMAKE) from error
    except (TypeError, ValueError) as error:
        raise InputRefused(f"{path} is not a manifest: {error}", expected="its seven fields", hint=REMAKE) from error


def check_assets(manifest: Manifest, assets: Path = ASSETS) -> None:
    """Compare every file below `assets` with the manifest (some 6 MB: a few hundredths of a second).

    Raises:
        InputRefused: a file is missing, differs, or is not declared; the message names it.
    """
    seen = list_files(assets)
    for name, digest in manifest.files.items():
        if seen.get(name) != digest:
            was = f"has sha256 {seen[name]}" if name in seen else "is missing"
            raise InputRefused(f"stand-in file {assets / name} {was}", expected=f"sha256 {digest}", hint=REMAKE)
    for name in sorted(seen.keys() - manifest.files.keys()):
        raise InputRefused(f"stand-in file {assets / name} is not declared", expected="no such file", hint=REMAKE)
