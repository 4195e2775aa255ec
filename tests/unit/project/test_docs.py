"""Every path, link, `make` target and name the documentation mentions exists, and the README stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.paths import ROOT

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "patches" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOP = "src|docs|tests|scripts|benchmarks|locks|patches|docker|\\.github"
FULL = re.compile(rf"(?<![\w/.$-])(?:{TOP})/[\w./*-]*[\w*/]")
SHORT = re.compile(r"`((?:host|image|common)/[\w./-]*?)(?::(\w+))?`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
TARGET = re.compile(r"(?:`|^    )make ([a-z][a-z-]*)", re.MULTILINE)
MODULE = re.compile(r"\bvldock((?:\.[a-z_]+)+)")
SIDES = ("host", "image", "common")
SOURCES = [*(ROOT / "src/vldock").rglob("*.py"), *(path.parent for path in (ROOT / "src/vldock").rglob("__init__.py"))]
OF_OTHERS = {"docs/MODEL_ZOO.md"}  # LLaVA's own


def missing_paths(page: Path) -> set[str]:
    """Return what a page says of files of this repository, or links to, and is not there."""
    text = page.read_text(encoding="utf-8")
    full = {name for name in FULL.findall(text) if name not in OF_OTHERS and not any(ROOT.glob(name.rstrip("/")))}
    short = {name for name, _ in SHORT.findall(text) if not (ROOT / "src/vldock" / name).exists()}
    return full | short | {link for link in LINK.findall(text) if not (page.parent / link).exists()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_link_of_a_page_exists(page: Path) -> None:
    assert missing_paths(page) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_of_a_page_is_in_the_makefile(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert set(TARGET.findall(page.read_text(encoding="utf-8"))) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_function_a_page_names_by_its_file_is_defined_there(page: Path) -> None:
    named = [(path, name) for path, name in SHORT.findall(page.read_text(encoding="utf-8")) if name]
    sources = {path: (ROOT / "src/vldock" / path).read_text(encoding="utf-8") for path, _ in named}

    assert [one for one in named if not re.search(rf"^(?:def|class) {one[1]}\b", sources[one[0]], re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_a_page_names_exists(page: Path) -> None:
    names = {name[1:].replace(".", "/") for name in MODULE.findall(page.read_text(encoding="utf-8"))}
    modules = {str(path.relative_to(ROOT / "src/vldock")).removesuffix(".py") for path in SOURCES}

    assert {name for name in names if name.startswith(SIDES)} - modules == set()


def test_a_path_that_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("src/no/where.py `tests/no/where.py:find` [a](missing.md) tests/unit scripts/*.sh")

    assert missing_paths(page) == {"src/no/where.py", "tests/no/where.py", "missing.md"}


def test_the_readme_can_be_read_in_three_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 650


def test_every_page_for_users_is_reached_from_the_readme() -> None:
    text = README.read_text(encoding="utf-8")

    assert [page.name for page in PAGES if page.parent.name in ("use", "trust") and page.name not in text] == []
