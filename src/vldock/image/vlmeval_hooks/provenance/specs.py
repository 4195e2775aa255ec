"""Specifications a result depends on: model, data and code, as comparable values."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout
from vldock.common.matrix import MODELS
from vldock.common.remote_code import CONFIGS, find_code
from vldock.image.process.source_digest import sources_digest
from vldock.image.startup import foreign_python
from vldock.image.vlmeval_hooks.files.checksums import md5_of
from vldock.image.weights import file_hashes, model_files

# packages whose code decides an answer or its identity
CODE = ("vlmeval_hooks", "llava_hooks", "answering", "process", "remote_code")
# Secrets, and settings of an API client that do not change an answer.
NOT_IDENTITY = ("key", "api_key", "retry", "verbose", "timeout", "wait")


def model_spec(factory: Any) -> dict[str, Any]:
    """Return class and arguments of a model factory.

    A functools.partial, one wrapped with functools.wraps, or a dict.
    """
    path, keywords = repo_of(factory), _keywords_of(factory)
    target = factory if isinstance(factory, dict) else inspect.unwrap(factory)
    target = target.func if isinstance(target, functools.partial) else target
    name = target.get("class") if isinstance(target, dict) else getattr(target, "__name__", type(target).__name__)
    others = {f"weights of {repo}": model_files.digest(repo) for repo in other_repositories(factory)}
    return {
        "class": str(name),
        "kwargs": _plain(keywords),
        "revision": revision_of(path) if path else None,
        "weights": model_files.digest(path),
        **others,
    }


def is_api(factory: Any) -> bool:
    """Return whether a model factory makes an API client.

    An API client has no weights here.
    """
    if isinstance(factory, dict):
        return False
    factory = inspect.unwrap(factory)
    target = factory.func if isinstance(factory, functools.partial) else factory
    return str(getattr(target, "__module__", "")).startswith("vlmeval.api")


def repo_of(factory: Any) -> str | None:
    """Return the repository or folder of a model factory's weights, or None."""
    path = _keywords_of(factory).get("model_path")
    return path if isinstance(path, str) else None


def _keywords_of(factory: Any) -> dict[str, Any]:
    if isinstance(factory, dict):
        return factory
    factory = inspect.unwrap(factory)
    return factory.keywords if isinstance(factory, functools.partial) else {}


def repositories(factory: Any) -> list[str]:
    """Return every repository or folder that loading a model reads, but for its vision tower."""
    own = repo_of(factory)
    return [*([own] if own else []), *other_repositories(factory)]


def other_repositories(factory: Any) -> list[str]:
    """Return what loading a model reads besides its own repository and vision tower.

    Those the matrix declares for it, those its remote code is in, and those its factory's arguments name (a
    tokenizer's) and that are there.
    """
    own = repo_of(factory)
    needs = [repo for model in MODELS if model.repo == own for repo in model.needs]
    named = [value for value in _keywords_of(factory).values() if isinstance(value, str) and _is_repository(value)]
    return [
        repo
        for repo in dict.fromkeys([*needs, *_code_elsewhere(own), *named])
        if repo not in (own, model_files.tower_of(own))
    ]


def _code_elsewhere(repo: str | None) -> list[str]:
    folder = model_files.folder_of(repo) if repo else None
    return [entry.rpartition("--")[0] for entry in find_code(folder).elsewhere] if folder else []


def _is_repository(value: str) -> bool:
    if re.fullmatch(r"[\w.-]+/[\w.-]+", value) is None and not value.startswith("/"):
        return False
    folder = model_files.folder_of(value)
    return folder is not None and any((folder / name).is_file() for name in CONFIGS)


def _plain(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in sorted(values.items()) if name not in NOT_IDENTITY}


def revision_of(repo: str) -> str | None:
    """Return the commit of a cached Hub repository.

    None before it is in the cache.
    """
    cache = os.environ.get("HUGGINGFACE_HUB_CACHE") or os.environ.get("TRANSFORMERS_CACHE")
    if not cache or Path(repo).exists():
        return None
    return hub_cache_layout.commit_of(hub_cache_layout.folder(Path(cache), repo))


def data_spec(dataset: Any) -> dict[str, Any]:
    """Return the file of a benchmark, its md5 and sha256.

    Of several files, digests over all.
    A benchmark without a table has digests of all its columns, images included; one whose images are files has
    `pictures`, a digest over theirs.
    """
    return {**_table_spec(dataset), **_picture_files(dataset)}


def _table_spec(dataset: Any) -> dict[str, Any]:
    paths = [path for one in _parts(dataset) if (path := Path(getattr(one, "data_path", None) or "-")).is_file()]
    if not paths:
        content = dataset.data.to_csv(index=False).encode()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return {"file": None, "md5": md5, "sha256": hashlib.sha256(content).hexdigest()}
    sha256 = file_hashes.sha256_of(paths)
    digests = [(md5_of(path), sha256[path]) for path in paths]
    if len(paths) == 1:
        return {"file": paths[0].name, "md5": digests[0][0], "sha256": digests[0][1]}
    listed = repr(digests).encode()
    md5 = hashlib.md5(listed, usedforsecurity=False).hexdigest()
    return {"file": ", ".join(path.name for path in paths), "md5": md5, "sha256": hashlib.sha256(listed).hexdigest()}


def _picture_files(dataset: Any) -> dict[str, str]:
    if not getattr(dataset, "vldock_files", False):
        return {}
    cells = dataset.data["image_path"]
    names = [str(name) for cell in cells for name in (cell if isinstance(cell, list) else [cell])]
    paths = [path for path in map(Path, names) if path.is_file()]
    known = file_hashes.sha256_of(dict.fromkeys(paths))
    return {"pictures": hashlib.sha256(repr([known[path] for path in paths]).encode()).hexdigest()} if paths else {}


def _parts(dataset: Any) -> list[Any]:
    """Return the parts of a concatenated benchmark, else the benchmark itself."""
    parts = getattr(dataset, "dataset_map", None)
    return list(parts.values()) if isinstance(parts, dict) and parts else [dataset]


@functools.cache
def code_spec() -> dict[str, str]:
    """Return the code in use: VLMEvalKit's commit, source digests, torch, transformers.

    Allowed Python from outside the image is named, too.
    """
    from vlmeval.smp import githash

    return {
        "vlmeval_commit": githash(digits=None),
        "vlmeval": sources_digest("vlmeval"),
        "llava": sources_digest("llava"),
        "vldock": sources_digest(*(f"vldock.image.{name}" for name in CODE)),
        "torch": importlib.metadata.version("torch"),
        "transformers": importlib.metadata.version("transformers"),
        **({"foreign_python": found} if (found := foreign_python.describe_foreign(os.environ)) else {}),
    }


def predictions_digest(table: Any) -> str | None:
    """Return the sha256 over (index, prediction) of a prediction table.

    None without a table.
    """
    if table is None:
        return None
    pairs = sorted(zip(map(str, table["index"]), map(str, table["prediction"]), strict=True))
    return hashlib.sha256(repr(pairs).encode()).hexdigest()
