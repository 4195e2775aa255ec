"""VLMEvalKit's public names as JSON: with upstream's imports, and with lazy ones.

python import_facts.py                  the names that are there, and what they are
python import_facts.py < FACTS          what the names of FACTS are here
"""

from __future__ import annotations

import importlib
import json
import sys
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

PACKAGES = ("vlmeval", "vlmeval.vlm", "vlmeval.api", "vlmeval.dataset", "vlmeval.config", "vlmeval.run")


def described(value: Any) -> Any:
    """Return a description of `value` that is equal for the same object in two processes."""
    if isinstance(value, partial):
        return ["partial", described(value.func), repr(value.args), repr(sorted(value.keywords.items()))]
    if isinstance(value, dict):
        return {str(key): described(one) for key, one in value.items()}
    if isinstance(value, list):
        return [described(one) for one in value]
    if isinstance(value, ModuleType):
        return ["module", value.__name__]
    if isinstance(value, type):
        there = getattr(sys.modules[value.__module__], value.__qualname__, None)
        return ["class", value.__module__, value.__qualname__, "itself" if there is value else "another than there"]
    if callable(value):
        return ["callable", getattr(value, "__module__", ""), getattr(value, "__qualname__", "")]
    return repr(value) if isinstance(value, str | int | float | tuple) else type(value).__name__


def starred(package: str) -> list[str]:
    """Return the names bound by `from package import *`."""
    space: dict[str, Any] = {}
    exec(f"from {package} import *", space)
    return sorted(space)


class Constructing(Exception):
    """Raised when build_dataset() is about to construct a class."""


def constructed(benchmark: str) -> Any:
    """Return the class build_dataset() constructs, stopped before its constructor."""
    from vlmeval import dataset

    def stop(_: object) -> None:
        raise Constructing(sys._getframe(1).f_locals["cls"])

    with mock.patch.object(dataset, "inspect", SimpleNamespace(signature=stop)):
        try:
            return dataset.build_dataset(benchmark)
        except Constructing as found:
            return found.args[0]


def benchmarks() -> dict[str, Any]:
    """Return {benchmark: class, type and modality}, and the parameters of those that are videos."""
    from vlmeval import dataset
    from vlmeval.dataset.video_dataset_config import supported_video_datasets as videos

    asked = {name: constructed(name) for name in sorted(dataset.SUPPORTED_DATASETS) if name not in videos}
    told = {
        name: [described(cls), dataset.DATASET_TYPE(name), dataset.DATASET_MODALITY(name)]
        for name, cls in asked.items()
    }
    return told | {name: described(entry) for name, entry in videos.items()}


def facts(wanted: dict[str, Any] | None) -> dict[str, Any]:
    """Return names, benchmarks and star imports; names are those in `wanted`, else all present."""
    modules = {package: importlib.import_module(package) for package in PACKAGES}
    told: dict[str, Any] = {"loaded": len(sys.modules), "benchmarks": benchmarks()}
    for package, module in modules.items():
        names = wanted[package] if wanted else [name for name in vars(module) if not name.startswith("__")]
        told[package] = {name: described(getattr(module, name, "missing")) for name in names}
    return told | {"starred": {package: starred(package) for package in PACKAGES}}


if __name__ == "__main__":
    given = sys.stdin.read()
    print(json.dumps(facts(json.loads(given) if given.strip() else None)))
