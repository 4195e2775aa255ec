"""Mandatory fields of every real patch, and its row in patches/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

import registry
from patchlib import Patch

PATCHES = Path(registry.__file__).parent


@pytest.mark.parametrize("patch", registry.ALL, ids=lambda patch: patch.name)
def test_a_patch_names_its_reason_its_upstream_and_only_files_with_a_declared_hash(patch: Patch) -> None:
    assert patch.reason
    assert patch.upstream
    assert set(patch.edits) <= set(patch.package.originals)


def test_every_declared_original_is_patched() -> None:
    used = {(patch.package.dist, path) for patch in registry.ALL for path in patch.edits}

    declared = {(patch.package.dist, path) for patch in registry.ALL for path in patch.package.originals}

    assert declared == used


def test_every_patch_file_is_registered() -> None:
    assert {path.stem for path in PATCHES.glob("patch_*.py")} == set(registry.ORDER)


def test_the_readme_has_a_row_for_each_patch() -> None:
    text = (PATCHES / "README.md").read_text(encoding="utf-8")

    assert [name for name in registry.ORDER if f"| `{name}.py` |" not in text] == []
