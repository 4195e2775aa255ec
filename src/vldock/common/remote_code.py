"""Remote code of a model repository: Python files that trust_remote_code executes.

transformers takes `auto_map` of the configuration files for the entry points ("file.Class", or "repo--file.Class" of
another repository) and copies what they import relatively (dynamic_module_utils.py, get_relative_import_files). Read
here without importing anything: which files are needed, which are missing, which cannot run in the image, and how they
differ from the git blobs pinned in locks/weights.json.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vldock.common import hashing, hub_cache_layout
from vldock.common.image_paths import WEIGHTS_LOCK

CONFIGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
UNRUNNABLE = {"triton": "Triton compiles its kernels with gcc when they run, and the image has no compiler"}


@dataclass(frozen=True)
class CodeFiles:
    """Remote-code files of a folder: those there, missing, unreadable, elsewhere.

    `missing` maps a file to what names it, `unreadable` (also among `files`) to the error. `elsewhere` holds the
    "repo--file.Class" entries of other repositories. `imports` are the packages of `files`: (file, package, line).
    """

    files: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    imports: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True)
class RemoteCode:
    """Pinned remote code of a repository: commit, git blobs by file, source.

    `revision` None: any commit. `blobs` None: no public source states them; a file of several editions has several.
    `source` is where the blobs are stated.
    """

    revision: str | None = None
    blobs: Mapping[str, tuple[str, ...]] | None = None
    source: str | None = None


def find_code(folder: Path) -> CodeFiles:
    """Return the remote-code files a model folder needs: entry points and their imports.

    A configuration that is no JSON names nothing; `weight_files` reports it.
    """
    own, elsewhere = _entry_points(folder)
    files: set[str] = set()
    missing: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    packages: list[tuple[str, str, int]] = []
    while own:
        name, origin = own.popitem()
        if not (folder / name).is_file():
            missing[name] = origin
            continue
        files.add(name)
        try:
            with warnings.catch_warnings(action="ignore"):  # Python warns of an escape such as "\\d" in a text
                code = ast.parse((folder / name).read_bytes())
        except (SyntaxError, ValueError) as error:
            unreadable[name] = str(error)
            continue
        own |= {wanted: name for wanted in _relative_imports(code) if wanted not in files}
        packages += [(name, package, line) for package, line in _imported_packages(code)]
    return CodeFiles(
        tuple(sorted(files)),
        dict(sorted(missing.items())),
        unreadable,
        tuple(sorted(elsewhere)),
        tuple(sorted(packages)),
    )


def find_unrunnable(folder: Path) -> list[str]:
    """Return which remote-code files the image cannot run, each with the reason."""
    first = {(name, package): line for name, package, line in reversed(find_code(folder).imports)}
    return [
        f"{name} imports {package} (line {line}): {UNRUNNABLE[package]}"
        for (name, package), line in sorted(first.items())
        if package in UNRUNNABLE
    ]


def read_pin(repo: str, lock: Path = Path(WEIGHTS_LOCK)) -> RemoteCode:
    """Return what locks/weights.json pins of a repository; nothing where it has no entry."""
    entry = read_entry(repo, lock)
    return pin_of(entry) if entry else RemoteCode()


def read_entry(repo: str, lock: Path = Path(WEIGHTS_LOCK)) -> dict[str, Any] | None:
    """Return the entry of locks/weights.json for a repository, or None."""
    if not lock.is_file():
        return None
    declared = json.loads(lock.read_text(encoding="utf-8"))["repositories"]
    return next((entry for entry in declared if entry["repo"] == repo), None)


def pin_of(entry: Mapping[str, Any]) -> RemoteCode:
    """Return the pin of one entry of locks/weights.json."""
    code = entry.get("code") or {}
    blobs = code.get("blobs")
    known = None if blobs is None else {name: tuple(values) for name, values in blobs.items()}
    return RemoteCode(entry.get("revision"), known, code.get("source"))


def describe_difference(pin: RemoteCode, folder: Path) -> list[str]:
    """Return how the remote code of a folder differs from its pin, one text a file.

    A file is the pinned one when its bytes are a pinned blob, or when it is the blob, unchanged, that a Hub snapshot of
    the pinned commit links to. An edited blob of a Hub cache is told without a pin too.
    """
    code = find_code(folder)
    pinned = pin.blobs or {}
    at_commit = folder.parent.name == "snapshots" and folder.name == pin.revision
    told = []
    for name in code.files:
        blob, link = hashing.git_blob_file(folder / name), (folder / name).resolve().name
        if blob in pinned.get(name, ()) or (at_commit and blob == link):
            continue
        if name in pinned:
            told.append(f"{name}: blob {blob}, pinned {' or '.join(pinned[name])}")
        elif pin != RemoteCode():
            told.append(f"{name}: blob {blob}, which is not pinned")
        elif hub_cache_layout.COMMIT.fullmatch(link) and blob != link:
            told.append(f"{name}: blob {blob}, edited in place: its name is {link}")
    return told + [
        f"{entry}: code of another repository, not pinned" for entry in code.elsewhere if pin != RemoteCode()
    ]


def _entry_points(folder: Path) -> tuple[dict[str, str], set[str]]:
    """Return {file: configuration that names it}, and the entries of other repositories."""
    own, elsewhere = {}, set()
    repo = hub_cache_layout.repo_of(folder.parents[1]) if folder.parent.name == "snapshots" else None
    for config in CONFIGS:
        for reference in _references(folder / config):
            owner, _, entry = reference.rpartition("--")
            if owner not in ("", repo):
                elsewhere.add(reference)
            elif "." in entry:
                own[f"{entry.rpartition('.')[0]}.py"] = f"auto_map of {config}"
    return own, elsewhere


def _references(config: Path) -> Iterator[str]:
    """Yield the entries of auto_map: texts, or lists of texts and nulls."""
    try:
        declared = json.loads(config.read_bytes()).get("auto_map") or {}
        values: Iterable[Any] = declared.values() if isinstance(declared, dict) else declared
    except (OSError, ValueError, AttributeError):
        return
    for value in values:
        yield from (text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _relative_imports(code: ast.Module) -> Iterator[str]:
    """Yield the files a module imports relatively, wherever the import stands in it.

    transformers takes "a.b" for a file a.b.py: remote code has no sub-packages.
    """
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom) and node.level:
            modules = [node.module] if node.module else [alias.name for alias in node.names if alias.name != "*"]
            yield from (f"{'.' * (node.level - 1)}{module}.py" for module in modules)


def _imported_packages(code: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each imported package's top name and its line."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno
