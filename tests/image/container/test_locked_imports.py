"""Every distribution of the lock can be imported without the files removed from the image."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from conftest import locked_names, python
from import_names import import_names

IMPORT_ALL = """
import importlib, json
for name in {modules}:
    try:
        importlib.import_module(name)
        print(json.dumps([name, None]), flush=True)
    except BaseException as error:
        print(json.dumps([name, f"{{type(error).__name__}}: {{error}}"]), flush=True)
"""


@pytest.fixture(scope="module")
def imported() -> Mapping[str, str | None]:
    """{module: None or the error} for every module of the lock.

    In two processes: one for those built on torch.
    """
    modules = {name: import_names(name) for name in locked_names()}
    heavy = [module for name in modules if stands_on(name, "torch") for module in modules[name]]
    light = sorted({module for names in modules.values() for module in names} - set(heavy))
    with ThreadPoolExecutor(max_workers=2) as pool:
        return {module: error for share in pool.map(import_all, (heavy, light)) for module, error in share.items()}


def import_all(modules: list[str]) -> dict[str, str | None]:
    """Import `modules` in a fresh process; after a crash, record the module and continue."""
    results: dict[str, str | None] = {}
    while left := [module for module in modules if module not in results]:
        done = python(IMPORT_ALL.format(modules=left))
        results |= dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith('["'))
        if culprits := [module for module in left if module not in results][:1]:
            results[culprits[0]] = f"the process ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    return results


def stands_on(name: str, base: str) -> bool:
    """Return whether a distribution is, or requires through others, the distribution `base`."""
    return base in _closure(name, set())


def _closure(name: str, seen: set[str]) -> set[str]:
    seen.add(name)
    try:
        requirements = distribution(name).requires or []
    except PackageNotFoundError:
        return seen
    for requirement in requirements:
        needed = re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")
        if "extra ==" not in requirement and needed not in seen:
            _closure(needed, seen)
    return seen


@pytest.mark.parametrize("name", locked_names())
def test_the_distribution_brings_modules_and_each_imports(name: str, imported: Mapping[str, str | None]) -> None:
    modules = import_names(name)

    broken = {module: imported[module] for module in modules if imported[module] is not None}

    assert modules or name in {"pip"}, f"{name} brings no module; if that is right, say so here"
    assert not broken
