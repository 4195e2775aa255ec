"""Folder of remote code: of a process's own, private, removed by its server too."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.image.remote_code import modules_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(modules_folder, "_made", [])
    return tmp_path


def test_a_process_has_one_private_and_empty_folder(temporary: Path) -> None:
    folder = modules_folder.process_folder()

    assert modules_folder.process_folder() == folder
    assert list(folder.iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent == temporary


def test_a_folder_whose_process_was_killed_is_removed_by_its_pid(temporary: Path) -> None:
    folder, other = modules_folder.process_folder(), temporary / f"{modules_folder.PREFIX}{os.getpid()}0-x"
    other.mkdir()

    modules_folder.remove_of(os.getpid())

    assert not folder.exists()
    assert other.is_dir()


def test_without_a_place_to_write_the_error_names_it(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(temporary / "absent"))

    with pytest.raises(EnvironmentUnfit, match="no folder for the model's remote code"):
        modules_folder.process_folder()


def test_another_folder_of_that_name_is_never_imported(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, other = modules_folder.process_folder(), temporary / "other"
    for place, word in ((folder, "own"), (other, "other")):
        (place / modules_folder.PACKAGE).mkdir(parents=True)
        (place / modules_folder.PACKAGE / "__init__.py").write_text(f"WORD = {word!r}\n")
    monkeypatch.setattr(sys, "path", [str(other), *sys.path, str(folder)])
    monkeypatch.delitem(sys.modules, modules_folder.PACKAGE, raising=False)
    importlib.invalidate_caches()
    assert importlib.import_module(modules_folder.PACKAGE).WORD == "other"

    modules_folder.claim_imports(folder)

    assert importlib.import_module(modules_folder.PACKAGE).WORD == "own"
