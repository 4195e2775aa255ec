"""Every distribution of the lock can be imported: what was left out of the image is not needed for that."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import locked_names, python
from import_names import import_names

PROCESSES = 4  # a crash takes only its own share along, and two cores are kept busy
IMPORT_ALL = """
import importlib, json, sys
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
        print(json.dumps([name, None]), flush=True)
    except BaseException as error:
        print(json.dumps([name, f"{type(error).__name__}: {error}"]), flush=True)
"""


@pytest.fixture(scope="module")
def imported() -> Mapping[str, str | None]:
    """{module: None or the error} of importing every module of the lock, in a few processes."""
    modules = sorted({module for name in locked_names() for module in import_names(name)})
    shares = [modules[start::PROCESSES] for start in range(PROCESSES)]
    with ThreadPoolExecutor(max_workers=min(PROCESSES, os.cpu_count() or 1)) as pool:
        return {module: error for share in pool.map(_import, shares) for module, error in share.items()}


def _import(modules: list[str]) -> dict[str, str | None]:
    code = IMPORT_ALL.replace("json.load(sys.stdin)", f"json.loads({json.dumps(json.dumps(modules))})")
    done = python(code)
    lines = [line for line in done.stdout.splitlines() if line.startswith('["')]
    results: dict[str, str | None] = dict(json.loads(line) for line in lines)
    died = f"the process ended with {done.returncode} before: {done.stderr.strip()[-300:]}"
    return {module: results.get(module, died) for module in modules}


@pytest.mark.parametrize("name", locked_names())
def test_the_distribution_brings_modules_and_each_imports(name: str, imported: Mapping[str, str | None]) -> None:
    modules = import_names(name)

    broken = {module: imported[module] for module in modules if imported[module] is not None}

    assert modules or name in {"pip"}, f"{name} brings no module; if that is right, say so here"
    assert not broken
