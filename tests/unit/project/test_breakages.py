"""Deliberate breakages of the image change existing text and name existing tests."""

from __future__ import annotations

import ast
import base64
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

import registry

sys.path.insert(0, str(ROOT / "benchmarks" / "teeth"))
from breakages import BREAKAGES, HOOKS, INSIDE, LLAVA, VLDOCK, VLMEVAL, Breakage, replaced

OURS = {f"{VLDOCK}/": ROOT / "src" / "vldock", "/usr/local/bin/": ROOT}
UPSTREAM = (LLAVA, VLMEVAL)


def replacements(breakage: Breakage) -> Iterator[tuple[str, str, str]]:
    """Yield (path in the image, old text, new text) of the lines `replaced` made."""
    for line in breakage.lines:
        words = json.loads(line.removeprefix("RUN ")) if line.startswith('RUN ["/opt/venv/bin/python"') else [""]
        if words[-2:-1] and words[-2].startswith("import base64"):
            yield tuple(json.loads(base64.b64decode(words[-1])))


def source_of(path: str) -> Path | None:
    """Return the checkout's file for a path in the image, or None for a library's."""
    return next((ROOT / root / path[len(place) :] for place, root in OURS.items() if path.startswith(place)), None)


CHANGED = [(path, old) for breakage in BREAKAGES for path, old, _ in replacements(breakage)]


@pytest.mark.parametrize(("path", "old"), [pair for pair in CHANGED if source_of(pair[0])])
def test_a_breakage_replaces_a_text_that_is_there_once(path: str, old: str) -> None:
    source = source_of(path)

    assert source is not None
    assert source.read_text(encoding="utf-8").count(old) == 1


def test_no_patch_takes_away_what_a_breakage_replaces() -> None:
    edits = [edit for patch in registry.ALL for items in patch.edits.values() for edit in items]

    assert [old for path, old in CHANGED if path.startswith(UPSTREAM) for edit in edits
            if old in edit.anchor and old not in edit.replacement] == []  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_path_of_ours_in_a_breakage_exists(breakage: Breakage) -> None:
    named = {path for line in breakage.lines for path in re.findall(rf"{VLDOCK}[\w./-]*\w", line)}

    assert [path for path in named if not (ROOT / "src" / path.removeprefix("/opt/vldock/")).exists()] == []


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_the_test_that_must_notice_is_there(breakage: Breakage) -> None:
    path = ROOT / "tests" / ("image" if breakage.group == INSIDE else "docker") / breakage.file
    tests = [
        node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)
    ]

    assert any(name.startswith(breakage.test) for name in tests)


def test_a_replacement_is_read_back_from_its_line() -> None:
    line = replaced(f"{HOOKS}/run/judge.py", "a", "b")

    assert list(replacements(Breakage("", (line,), INSIDE, "", ""))) == [(f"{HOOKS}/run/judge.py", "a", "b")]
