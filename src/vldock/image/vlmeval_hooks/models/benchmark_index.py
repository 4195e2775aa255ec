"""Index {benchmark class: names it knows}.

Upstream imports 250 modules to find these names.
The image build writes the file from VLMEvalKit's sources, with their digest. Edited sources have another digest: then
the file is ignored, and every class is imported and asked, as upstream does.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem.atomic import write_json
from vldock.image.process import source_digest

PACKAGE = "vlmeval.dataset"
FILE = "vldock_index.json"

Classes = tuple[tuple[str, tuple[str, ...]], ...]  # (class, the names it knows), in VLMEvalKit's order


def path() -> Path:
    """Return the path of the index, beside the benchmarks' sources."""
    found = importlib.util.find_spec("vlmeval")
    if found is None or found.origin is None:
        raise EnvironmentUnfit(
            "VLMEvalKit is not on Python's path", hint="run it in the container, where vlmeval is installed"
        )
    return Path(found.origin).parent / "dataset" / FILE


def write() -> Path:
    """Import every benchmark class, write the index and return its path.

    Raises ValueError where a class is not found by its name.
    """
    package = importlib.import_module(PACKAGE)
    every = package.DATASET_CLASSES
    if strangers := [cls for cls in every if getattr(package, cls.__name__, None) is not cls]:
        raise ValueError(f"not found by their names in {PACKAGE}: {strangers}")
    asked = [(cls.__name__, list(cls.supported_datasets())) for cls in every]
    classes.cache_clear()
    return write_json(path(), {"sources": source_digest.sources_digest("vlmeval"), "classes": asked})


@functools.cache
def classes() -> Classes | None:
    """Return the index, or None without one for the present sources."""
    try:
        written = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if written["sources"] != source_digest.sources_digest("vlmeval"):
        return None
    return tuple((name, tuple(known)) for name, known in written["classes"])


def list_supported() -> list[str] | None:
    """Return the value of SUPPORTED_DATASETS, or None without an index."""
    known = classes()
    return None if known is None else [name for _, names in known for name in names]


def names_of(cls: str) -> list[str] | None:
    """Return the benchmark names known to the class `cls`.

    None where only the class itself can list them.
    """
    return next((list(names) for name, names in classes() or () if name == cls), None)


def classes_for(benchmark: str) -> list[Any]:
    """Return the classes to ask about `benchmark`, in order.

    Those that know it, else all: a custom name.
    """
    package = importlib.import_module(PACKAGE)
    if "DATASET_CLASSES" not in vars(package):
        knowing = [name for name, names in classes() or () if benchmark in names]
        if knowing:
            return [getattr(package, name) for name in knowing]
    every: list[Any] = package.DATASET_CLASSES
    return every
