"""Sizes of the Python files: lines of a file and a function, modules of a folder, and the verbs of docstrings.

`# size: WHY` near the top of a file or a function allows it to be longer. Complexity is ruff's to check (C901).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

FILE_LINES, FUNCTION_LINES, FOLDER_MODULES = 250, 50, 25
SIZED = ("src", "tests", "benchmarks", "scripts")
DOCUMENTED = ("src", "patches", "benchmarks", "tests")
# the digest of the stand-ins' recipe covers its sources: they change with the next stand-ins only
RECIPE = ROOT / "src/vldock/image/standin"

ALLOWED = re.compile(r"# size: \w+ \w+")
SILENT_NOQA = re.compile(r"# noqa:[^#]*\bC901\b(?! - \w)")
NOQA = "noqa: C901"
VAGUE = re.compile(r"(Tell|Say|Let|Have|Give)s?\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = (ast.Module, ast.ClassDef, *Function.__args__)


def sources(*roots: str) -> list[Path]:
    return sorted(path for root in roots for path in (ROOT / root).rglob("*.py"))


def is_allowed(lines: list[str]) -> bool:
    return any(ALLOWED.search(line) for line in lines)


def oversizes(source: str) -> Iterator[str]:
    """Yield what is too long in a file, or hides its complexity without a reason."""
    lines = source.splitlines()
    if len(lines) > FILE_LINES and not is_allowed(lines[:10]):
        yield f"{len(lines)} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > FUNCTION_LINES and not is_allowed(lines[node.lineno - 1 : node.lineno + 4]):
                yield f"{node.name}: {length} lines"
    yield from (f"without a reason: {line.strip()}" for line in lines if SILENT_NOQA.search(line))


def vague_docstrings(source: str) -> Iterator[str]:
    """Yield the first line of every docstring that begins with one of the verbs."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Documented):
            text = ast.get_docstring(node) or ""
            if VAGUE.match(text):
                yield text.splitlines()[0]


def refuse(found: Iterator[tuple[Path, str]]) -> None:
    """Fail with every offence on a line of its own, where there is one."""
    if offences := [f"{path.relative_to(ROOT)}: {what}" for path, what in found]:
        pytest.fail("\n".join(offences), pytrace=False)


def test_no_file_or_function_is_too_long_without_a_reason() -> None:
    paths = [path for path in sources(*SIZED) if not path.is_relative_to(RECIPE)]

    refuse((path, what) for path in paths for what in oversizes(path.read_text(encoding="utf-8")))


def test_no_folder_has_too_many_modules() -> None:
    folders = {path.parent for path in sources(*SIZED)}
    counts = {folder: len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) for folder in folders}

    refuse((folder, f"{count} modules") for folder, count in sorted(counts.items()) if count > FOLDER_MODULES)


def test_no_docstring_begins_with_a_vague_verb() -> None:
    paths = [path for path in sources(*DOCUMENTED) if path != RECIPE / "recipe/pack.py"]

    refuse((path, line) for path in paths for line in vague_docstrings(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("\n" * 251, ["251 lines"], id="long file"),
        pytest.param("# size: one table\n" + "\n" * 250, [], id="long file with a reason"),
        pytest.param("# size: x\n" + "\n" * 250, ["251 lines"], id="long file without words"),
        pytest.param("def work():\n" + "    0\n" * 50, ["work: 51 lines"], id="long function"),
        pytest.param("def work():  # size: flat dispatch\n" + "    0\n" * 50, [], id="long function with a reason"),
        pytest.param(f"x = 1  # {NOQA}\n", [f"without a reason: x = 1  # {NOQA}"], id="complexity"),
        pytest.param(f"x = 1  # {NOQA} - a flat dispatch\n", [], id="complexity with a reason"),
    ],
)
def test_an_oversize_is_found(source: str, found: list[str]) -> None:
    assert list(oversizes(source)) == found


@pytest.mark.parametrize(("verb", "found"), [("Tell", 1), ("Gives", 1), ("Return", 0), ("Letter", 0)])
def test_a_vague_docstring_is_found(verb: str, found: int) -> None:
    source = f'def work():\n    """{verb} what there is."""\n'

    assert len(list(vague_docstrings(source))) == found
