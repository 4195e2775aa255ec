"""CI and docs/trust/promotion.md use existing commands; actions are pinned by commit."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support.paths import ROOT

from vldock.host.cli.main import COMMANDS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SHOWN = [*WORKFLOWS, ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PINNED = re.compile(r"^actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
COMMAND = re.compile(r"(?:^\s*|run: |&& |\s)(?:\.venv/bin/)?vldock ((?!:)[a-z].*)$", re.MULTILINE)


def commands(path: Path) -> Iterator[list[str]]:
    """Yield the words after `vldock` of each command line in a file; continued lines are joined."""
    text = re.sub(r"\\\n\s*", "", path.read_text())
    if path.suffix == ".md":
        text = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    for found in COMMAND.finditer(text):
        words = shlex.split(found.group(1), comments=True)
        yield words[: words.index("--")] if "--" in words else words


def command(words: list[str]) -> click.Command:
    """Return the click command of these words; raise KeyError if there is none."""
    found = COMMANDS[words[0]].load()
    return found.commands[words[1]] if isinstance(found, click.Group) else found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_says_its_version(path: Path) -> None:
    used = re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE)

    assert used
    assert [line for line in used if not PINNED.match(line)] == []


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_vldock_command_shown_exists_with_its_options(path: Path) -> None:
    for words in commands(path):
        options = {option for parameter in command(words).params for option in parameter.opts}
        options |= {option for parameter in command(words).params for option in parameter.secondary_opts}
        assert {word for word in words if word.startswith("--")} <= options, words


@pytest.mark.parametrize("name", [".github/workflows/ci.yml", "docs/trust/promotion.md", "docs/use/matrix.md"])
def test_commands_are_found_where_there_are_many(name: str) -> None:
    assert len(list(commands(ROOT / name))) >= 5


def test_the_workflow_runs_every_part_of_make_test() -> None:
    workflow = "\n".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)

    parts = ("make test-unit", "make check-lock", "vldock build", "vldock verify", 'tests/docker -m "not verify"')
    assert [part for part in parts if part not in workflow] == []
