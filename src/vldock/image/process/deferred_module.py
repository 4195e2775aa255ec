"""Deferred import of a library.

The library's code runs when an attribute is first read.
accelerate imports bitsandbytes, and with it triton, wherever it is installed; a model in half precision never uses it.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any


class _DeferredModule(ModuleType):
    """Module with name and specification; its code has not run."""

    def __getattr__(self, name: str) -> Any:
        # a submodule or `from module import name` reads __path__ first: then, too, the module's own code runs first
        spec = self.__spec__
        if spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # a module's class may be changed
        self.__path__ = spec.submodule_search_locations or []
        try:
            spec.loader.exec_module(self)
        except BaseException:
            sys.modules.pop(self.__name__, None)  # as after any import that failed: the next one tries again
            raise
        return getattr(self, name)


def defer(name: str) -> None:
    """Defer the code of package `name` until an attribute is read.

    No effect where it is absent or imported.
    Its own import errors are raised at that first read.
    """
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is None or not spec.submodule_search_locations:
        return
    module = importlib.util.module_from_spec(spec)
    del module.__path__
    module.__class__ = _DeferredModule
    sys.modules[name] = module
