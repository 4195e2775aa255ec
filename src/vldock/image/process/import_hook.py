"""Hook on the import of named modules."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

Change = Callable[[ModuleType], None]


def call(names: Collection[str], change: Change) -> None:
    """Call `change` with each module of `names`.

    At once, or right after the module's import.
    """
    for name in names:
        if name in sys.modules:
            change(sys.modules[name])
    sys.meta_path.insert(0, _Finder(names, change))


class _Finder(MetaPathFinder):
    """Delegates to the other finders, and wraps the loader they return."""

    def __init__(self, names: Collection[str], change: Change) -> None:
        self._names, self._change = names, change
        self._asking: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._names or name in self._asking:
            return None
        self._asking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking.discard(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_change(module: ModuleType) -> None:
                run(module)
                self._change(module)

            spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec
