"""Modules, functions and files named in text exist.

No import would miss them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import source_names
from support.paths import ROOT

from vldock.image.timing import phases

PACKAGE = ROOT / "src" / "vldock"
FOLDERS = ("src", "tests", "patches", "benchmarks", "scripts", "docker", "docs", ".github")
FILES = ("Makefile", "README.md", "CONTRIBUTING.md", "entrypoint.sh", "pyproject.toml")
SUFFIXES = {".py", ".sh", ".md", ".yml", ".toml", ".json", ".ini", "", ".jinja", ".html"}
DOTTED = re.compile(r"(?<![\w./-])vldock\.(?:host|image|common)(?:\.[A-Za-z_]\w*)+")
STARTED = re.compile(r"-m (vldock(?:\.\w+)*)")
LISTED = re.compile(r"^([a-z_]+)  +\S", re.MULTILINE)  # of a package's docstring: name, spaces, what it is
SHORT = re.compile(r"(?<![\w/.])((?:host|image|common)/[\w/]+\.(?:py|sh))\b")
PLACED = re.compile(r"(?:src|/opt/vldock)/(vldock/[\w./-]*\w)")
CODE = [path for folder in ("tests/image", "tests/docker", "tests/support", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))]  # fmt: skip


def texts() -> dict[Path, str]:
    """Return {file: text} of all files that may name a module, without assets and this file."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    chosen = [path for path in (*paths, *(ROOT / name for name in FILES)) if path.suffix in SUFFIXES and path.is_file()]
    skipped = {"assets", "__pycache__"}
    return {
        path: path.read_text(encoding="utf-8", errors="replace")
        for path in chosen
        if path != Path(__file__) and not skipped & set(path.parts)
    }


TEXTS = texts()


def named(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield (file and line, match) of a pattern in those texts."""
    for path, text in TEXTS.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(ROOT)}:{line}", match[match.re.groups]


def test_a_dotted_name_is_that_of_a_module_or_of_something_in_one() -> None:
    assert [(where, name) for where, name in named(DOTTED) if source_names.find(name) is None] == []


def test_a_module_that_is_started_can_be() -> None:
    found = list(named(STARTED))
    starts = [
        (where, name, source_names.path_of(f"{name}.__main__") or source_names.path_of(name)) for where, name in found
    ]

    assert len(found) > 20
    assert [(where, name) for where, name, path in starts if path is None or not runs(path)] == []


def runs(path: Path) -> bool:
    return path.name == "__main__.py" or "__main__" in path.read_text(encoding="utf-8")


def test_a_path_below_the_package_exists() -> None:
    assert [(where, name) for where, name in named(PLACED) if not (ROOT / "src" / name).exists()] == []


def test_a_path_a_page_shortens_exists() -> None:
    pages = [(where, name) for where, name in named(SHORT) if where.partition(":")[0].endswith(".md")]

    assert [(where, name) for where, name in pages if not (PACKAGE / name).exists()] == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: str(path.parent.name))
def test_a_module_listed_by_its_package_is_there(path: Path) -> None:
    listed = LISTED.findall(ast.get_docstring(ast.parse(TEXTS[path])) or "")

    assert [name for name in listed if source_names.path_of(dotted(path.parent / name)) is None] == []


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(source_names.SOURCE).parts)


@pytest.mark.parametrize("module", [name for name in phases.TIMED if name.startswith("vldock.")])
def test_a_timed_function_is_there(module: str) -> None:
    functions = [name for name, _ in phases.TIMED[module]]

    assert [name for name in functions if not isinstance(source_names.find(f"{module}.{name}"), ast.FunctionDef)] == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_no_type_checker_reads_calls_what_is_there(path: Path) -> None:
    assert list(source_names.flaws(TEXTS[path])) == []
