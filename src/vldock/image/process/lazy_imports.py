"""Deferred imports of a package.

The package has the same names and objects; each is imported when first read.
VLMEvalKit imports every model, judge and benchmark it knows, with all dependencies, before it reads its arguments. The
patched packages pass their import statements as text: a name is imported when it is read, and `from package import *`
imports everything, as upstream does. VLDOCK_EAGER_IMPORTS=1 imports everything at once.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import symtable
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

VARIABLE = "VLDOCK_EAGER_IMPORTS"


@dataclass
class _Deferred:
    """Deferred import statements of a package.

    Statements that need all their names follow.
    """

    imports: str
    names: dict[str, tuple[str, str]]  # {name here: (submodule, name there)}
    before: dict[str, str]  # {submodule: another that upstream imports earlier and whose side effects it meets}
    rest: list[str] = field(default_factory=list)
    rest_names: set[str] = field(default_factory=set)
    known: dict[str, Callable[[], Any]] = field(default_factory=dict)
    done: bool = False


_packages: dict[str, _Deferred] = {}


def eager() -> bool:
    """Return whether everything is imported at once, as upstream does."""
    return os.environ.get(VARIABLE, "").strip() not in ("", "0")


class _Package(ModuleType):
    """A package with names imported when they are read."""

    def __getattr__(self, name: str) -> Any:
        return _find(self, name)

    def __dir__(self) -> list[str]:
        deferred = _packages[self.__name__]
        return sorted({*super().__dir__(), *deferred.names, *deferred.rest_names})

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless a submodule would shadow a deferred import.

        Such a submodule has the name of the deferred import (vlm.molmo).
        """
        submodule = isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}"
        if not (submodule and name in _packages[self.__name__].names):
            super().__setattr__(name, value)


def defer_imports(name: str, imports: str, *, before: dict[str, str] | None = None) -> None:
    """Defer the statements `imports` of the package `name`.

    All are `from .submodule import name`.
    `before` is {submodule: submodule to import before it}, for the side effects of that import.
    """
    module = sys.modules[name]
    if eager():
        _execute(imports, module, vars(module))
        return
    _packages[name] = _Deferred(imports, _imported_names(imports), before or {})
    module.__class__ = _Package


def defer_statements(name: str, statements: str, *, known: dict[str, Callable[[], Any]] | None = None) -> None:
    """Defer `statements` of the package `name`.

    They run when a name they bind is read.
    They need the package's deferred names.
    `known` maps a name to a function that returns its value without all the imports, or None where it cannot.
    """
    module = sys.modules[name]
    if name not in _packages:
        _execute(statements, module, vars(module))
        return
    deferred = _packages[name]
    deferred.rest.append(statements)
    deferred.rest_names |= _assigned_names(statements)
    deferred.known |= known or {}


def deferred_names(package: str) -> frozenset[str]:
    """Return the names of deferred imports of `package`."""
    return frozenset(_packages[package].names) if package in _packages else frozenset()


def import_all() -> None:
    """Run all deferred imports of the packages imported so far.

    A long-lived process does so once.
    """
    for name in list(_packages):
        _import_deferred(sys.modules[name])


def _find(module: ModuleType, name: str) -> Any:
    """Return the deferred attribute `name`.

    AttributeError where there is none, ImportError where its import fails.
    """
    deferred = _packages[module.__name__]
    if name in deferred.names:
        return vars(module).setdefault(name, _import(module, *deferred.names[name]))
    if not deferred.done and (name in deferred.rest_names or name == "__all__"):
        value = deferred.known[name]() if name in deferred.known else None
        if value is not None:
            return vars(module).setdefault(name, value)
        _import_deferred(module)
        return object.__getattribute__(module, name)  # upstream has not everywhere an __all__: AttributeError, as there
    if not name.startswith("__") and importlib.util.find_spec(f"{module.__name__}.{name}"):
        return importlib.import_module(f"{module.__name__}.{name}")
    raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")


def _import(module: ModuleType, submodule: str, name: str) -> Any:
    """Return `name` of a submodule.

    An AttributeError becomes ImportError, or it would read as "no such name".
    """
    if first := _packages[module.__name__].before.get(submodule):
        importlib.import_module(f"{module.__name__}.{first}")
    path = f"{module.__name__}.{submodule}"
    try:
        return getattr(importlib.import_module(path), name)
    except AttributeError as error:
        raise ImportError(f"cannot import {name!r} from {path}: {error}", name=path) from error


def _import_deferred(module: ModuleType) -> None:
    """Run all deferred statements of a module.

    No lock is held: where two threads do so, the first value remains.
    """
    deferred = _packages[module.__name__]
    if deferred.done:
        return
    for statements in (deferred.imports, *deferred.rest):
        bound: dict[str, Any] = {}
        _execute(statements, module, bound)
        for name, value in bound.items():
            vars(module).setdefault(name, value)
    deferred.done = True


def _execute(statements: str, module: ModuleType, bound: dict[str, Any]) -> None:
    exec(compile(statements, f"{module.__file__} (put off)", "exec"), vars(module), bound)


def _imported_names(statements: str) -> dict[str, tuple[str, str]]:
    names: dict[str, tuple[str, str]] = {}
    for node in ast.parse(statements).body:
        if not isinstance(node, ast.ImportFrom) or node.level != 1 or not node.module or node.names[0].name == "*":
            raise TypeError(f"only `from .submodule import name` can be put off, not: {ast.unparse(node)}")
        names |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return names


def _assigned_names(statements: str) -> set[str]:
    symbols = symtable.symtable(statements, "put off", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
