"""Remote code of the stand-ins: what its files may import, and that snapshots get all of it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[4] / "src/vldock/image/remote_standins"
ASSETS = PACKAGE.parent / "standin/assets"
FILES = sorted(path for path in (PACKAGE / "remote_code").glob("*.py") if path.name != "__init__.py")
FAMILIES = sorted(path for path in PACKAGE.glob("*.py") if "\nCODE = (" in path.read_text(encoding="utf-8"))
LIBRARIES = {"torch", "torchvision", "transformers", "xformers", "flash_attn", "sentencepiece", "numpy", "PIL"}


def imports(path: Path) -> list[ast.ImportFrom | ast.Import]:
    """Return the import statements of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]


def siblings(path: Path) -> set[str]:
    """Return the names of the files beside it that a file imports."""
    return {f"{node.module}.py" for node in imports(path) if isinstance(node, ast.ImportFrom) and node.level}


def listed(family: Path) -> tuple[str, ...]:
    """Return a family's CODE."""
    for node in ast.parse(family.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CODE":
            return tuple(ast.literal_eval(node.value))
    raise LookupError(family)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_remote_code_imports_libraries_and_its_siblings_only(path: Path) -> None:
    known = LIBRARIES | sys.stdlib_module_names
    names = {alias.name for node in imports(path) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports(path) if isinstance(node, ast.ImportFrom) and not node.level}

    assert {name.partition(".")[0] for name in names} <= known
    assert siblings(path) <= {file.name for file in FILES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.stem)
def test_a_snapshot_gets_every_file_its_code_imports(family: Path) -> None:
    code = set(listed(family))

    assert code >= {name for file in code for name in siblings(PACKAGE / "remote_code" / file)}


def test_every_file_is_in_a_snapshot() -> None:
    assert {file.name for file in FILES} == {name for family in FAMILIES for name in listed(family)}


@pytest.mark.parametrize("path", sorted(ASSETS.glob("huggingface/*/snapshots/*/*.py")), ids=lambda path: path.name)
def test_a_snapshot_holds_the_code_as_it_is_here(path: Path) -> None:
    assert path.read_bytes() == (PACKAGE / "remote_code" / path.name).read_bytes(), "run make remote-standins"


def test_every_family_has_its_snapshot() -> None:
    held = {path.name for path in ASSETS.glob("huggingface/*/snapshots/*/*.py")}
    assert held == {file.name for file in FILES}
