"""The path of a file tells where it runs; its imports must agree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

SOURCE = ROOT / "src" / "vldock"
HEAVY = {"torch", "transformers", "llava", "vlmeval", "torchvision"}


def imports(path: Path) -> Iterator[str]:
    """Yield the full dotted name of every module a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""


def files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def by_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(SOURCE / "common"), ids=by_path)
def test_common_imports_the_standard_library_only(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"vldock"}

    foreign = [name for name in imports(path) if name.partition(".")[0] not in allowed]
    ours = [name for name in imports(path) if name.startswith("vldock.") and not name.startswith("vldock.common")]

    assert (foreign, ours) == ([], [])


@pytest.mark.parametrize("path", files(SOURCE / "image"), ids=by_path)
def test_image_never_imports_docker_or_host(path: Path) -> None:
    wrong = [name for name in imports(path) if name.split(".")[0] == "docker" or name.startswith("vldock.host")]

    assert wrong == []


@pytest.mark.parametrize("path", files(SOURCE / "host"), ids=by_path)
def test_host_never_imports_torch_or_image(path: Path) -> None:
    wrong = [name for name in imports(path) if name.split(".")[0] in HEAVY or name.startswith("vldock.image")]

    assert wrong == []


def test_scripts_import_host_and_common_only() -> None:
    allowed = ("vldock.host", "vldock.common")
    standard = sys.stdlib_module_names

    named = [(by_path(path), name) for path in files(ROOT / "scripts") for name in imports(path)]

    assert [pair for pair in named if pair[1].split(".")[0] not in standard and not pair[1].startswith(allowed)] == []
