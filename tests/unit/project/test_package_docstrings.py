"""Every package of src/vldock says in its docstring what it is, and names each of its modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

SOURCE = ROOT / "src/vldock"
WIDTH = 100
# no packages: the recipe's digest covers the stand-ins, and the entry points lie in the image where the user types them
EXCLUDED = (SOURCE / "image/standin", SOURCE / "image/entrypoints")
PACKAGES = [
    folder
    for folder in sorted({path.parent for path in SOURCE.rglob("*.py")})
    if not any(folder.is_relative_to(other) for other in EXCLUDED)
]


def faults(package: Path) -> Iterator[str]:
    """Yield what is wrong with the docstring of a package."""
    init = package / "__init__.py"
    text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) if init.exists() else None
    if not text:
        yield "no docstring"
        return
    first = text.splitlines()[0]
    if len(first) > WIDTH:
        yield f"the first line has {len(first)} characters"
    words = set(re.findall(r"\w+", text))
    yield from (f"{name} is not named" for name in sorted(modules(package)) if name not in words)


def modules(package: Path) -> Iterator[str]:
    """Yield the names of a package's modules and subpackages."""
    for path in package.iterdir():
        if path.suffix == ".py" and not path.stem.startswith("__"):
            yield path.stem
        elif path in PACKAGES:
            yield path.name


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_package_names_its_modules(package: Path) -> None:
    assert not (found := list(faults(package))), "\n".join(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('"""Values.\n\na   first; b   second\n"""\n', [], id="whole"),
        pytest.param('""""""\n', ["no docstring"], id="empty"),
        pytest.param('"""Values.\n\nab, b\n"""\n', ["a is not named"], id="a module left out"),
        pytest.param(f'"""{"x" * 101}\n\na b\n"""\n', ["the first line has 101 characters"], id="long first line"),
    ],
)
def test_a_fault_is_found(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "__init__.py").write_text(text, encoding="utf-8")
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").touch()

    assert list(faults(tmp_path)) == found
