"""Deferred import of a library: its code runs when an attribute is read."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from vldock.image.process import deferred_module


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A deferred package `heavy`."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("from heavy import part\nweight = 1\n")
    (tmp_path / "heavy" / "part.py").write_text("import sys\nfull = hasattr(sys.modules['heavy'], '__path__')\n")
    monkeypatch.syspath_prepend(tmp_path)
    deferred_module.defer("heavy")
    yield tmp_path / "heavy"
    for name in [name for name in sys.modules if name.split(".")[0] == "heavy"]:
        del sys.modules[name]


def test_a_late_module_can_be_found_and_imported_without_running(late: Path) -> None:
    import heavy

    assert importlib.util.find_spec("heavy") is not None
    assert heavy.__name__ == "heavy"
    assert "heavy.part" not in sys.modules


@pytest.mark.parametrize("statement", ["import heavy; heavy.weight", "from heavy import weight", "import heavy.part"])
def test_a_late_module_runs_when_something_of_it_is_read(late: Path, statement: str) -> None:
    exec(statement, {})

    assert type(sys.modules["heavy"]) is ModuleType
    assert sys.modules["heavy"].weight == 1
    assert sys.modules["heavy.part"].full


def test_a_late_module_that_is_broken_says_so_each_time(late: Path) -> None:
    (late / "__init__.py").write_text("raise ImportError('no libheavy.so')\n")

    for _ in range(2):
        with pytest.raises(ImportError, match=r"no libheavy\.so"):
            exec("import heavy; heavy.weight", {})


def test_an_absent_or_imported_library_is_left_alone() -> None:
    deferred_module.defer("no_such_library")
    deferred_module.defer("json")

    assert "no_such_library" not in sys.modules
    assert type(json) is ModuleType
