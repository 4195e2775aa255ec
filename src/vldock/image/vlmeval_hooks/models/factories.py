"""VLMEvalKit's tables of models and video benchmarks, built without importing their classes.

An entry is `partial(Class, arguments)`. Here it holds a Reference; `entry.func`, a call and a pickle resolve it to the
class, imported by then. Names, arguments and the number of entries need no import.
"""

from __future__ import annotations

import copy
import functools
import importlib
import sys
from dataclasses import dataclass
from typing import Any

from vldock.image.process import lazy_imports
from vldock.image.vlmeval_hooks.models import benchmark_index


@dataclass(frozen=True)
class Reference:
    """A class of a package, by name."""

    package: str
    name: str

    def resolve(self) -> Any:
        """Import and return the class.

        ImportError with the real cause where the import fails.
        """
        return getattr(importlib.import_module(self.package), self.name)

    def supported_datasets(self) -> list[str]:
        """Return the answer of the benchmark class of this name."""
        known = benchmark_index.names_of(self.name)
        return self.resolve().supported_datasets() if known is None else known

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Construct an instance of the class."""
        return self.resolve()(*args, **kwargs)


class _Partial(functools.partial[Any]):
    """functools.partial of a class imported on first use."""

    @property
    def func(self) -> Any:
        """The class, never the reference to it."""
        held = _held(self)
        return held.resolve() if isinstance(held, Reference) else held

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.func(*self.args, *args, **{**self.keywords, **kwargs})

    def __repr__(self) -> str:
        return repr(self._plain())

    def __reduce__(self) -> Any:
        return self._plain().__reduce__()

    def __deepcopy__(self, memo: dict[int, Any]) -> _Partial:
        return _Partial(_held(self), *copy.deepcopy(self.args, memo), **copy.deepcopy(self.keywords, memo))

    def _plain(self) -> functools.partial[Any]:
        return functools.partial(self.func, *self.args, **self.keywords)


def _held(entry: _Partial) -> Any:
    return functools.partial.func.__get__(entry)  # a slot's descriptor


class _Names:
    """Package with references as attributes."""

    def __init__(self, package: str) -> None:
        self._package = importlib.import_module(package)

    def __getattr__(self, name: str) -> Any:
        if name in lazy_imports.deferred_names(self._package.__name__):
            return Reference(self._package.__name__, name)
        return getattr(self._package, name)


def import_references(*packages: str) -> tuple[Any, ...]:
    """Return packages' classes as references, and a matching `partial`."""
    if lazy_imports.eager():
        return (*map(importlib.import_module, packages), functools.partial)
    return (*map(_Names, packages), _Partial)


def insert_references(name: str, package: str) -> None:
    """Put references to a package's classes into a module.

    As `from package import *` would.
    """
    space = vars(sys.modules[name])
    if lazy_imports.eager():
        exec(f"from {package} import *", space)
        return
    space |= {one: Reference(package, one) for one in lazy_imports.deferred_names(package)}
    space["partial"] = _Partial


def remove_references(name: str, package: str) -> None:
    """Undo insert_references(): later look-ups go to the package itself."""
    space = vars(sys.modules[name])
    for one in [one for one, value in space.items() if isinstance(value, Reference)]:
        del space[one]
    space["partial"] = functools.partial
    if not lazy_imports.eager():
        space["__getattr__"] = functools.partial(_of_package, package)


def _of_package(package: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(sys.modules[package], name)
