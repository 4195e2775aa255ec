"""Commands that messages, help and documentation tell people to type, and what is wrong with them.

A command is `vldock ...`, `python -m vldock.image ...` or `python /workspace/...`, in a page or in a string of the
source. It ends where prose goes on. A value filled in at run time and a word in capitals (FOLDER, ORG/NAME) stand for
anything.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from support.paths import ROOT
from vldock.common import matrix
from vldock.common.errors import UsageError
from vldock.host.cli.main import cli
from vldock.host.downloads import locked_files, names
from vldock.image.__main__ import COMMANDS

FILLED = "\0"
# words that go on in a sentence after a command
PROSE = frozenset(
    re.findall(
        r"\w+",
        """a about above again all alone also an and are as asks at before beside but by can checks does downloads each
    finds for from goes has in into is it keeps lists makes made may must names needs of on once only or over
    prints puts reads refuses runs says shows so starts takes tells than that the them then there these this to
    until uses verifies which while with without work writes you your""",
    )
)
ABOUT = frozenset({"bundle", "command", "container", "declares", "error", "reports", "stand-in", "was", "workspace"})
HOST = "vldock"
IMAGE = ROOT / "src/vldock/image"
FOLDERS = {"data": "--data", "weights": "--cache", "datasets": "--cache"}
MODULE = "vldock.image"
START = rf"vldock(?= )|python3? -m {re.escape(MODULE)}(?![.\w])|python3? /workspace/[\w./-]+\.py"
TYPED = re.compile(rf"(?<![\w./=-])(?:[\w./-]*\.venv/bin/)?(?P<start>{START})(?P<rest>[^\n`]*)")
END = re.compile(r"[;,|)]|&&|: |(?<!\.)\.(?=\s|$)|#|  |…|:$|\?$|'(?=\s|$)|\"")
PAGES = ("README.md", "CONTRIBUTING.md", "patches/README.md", *(f"docs/{kind}" for kind in ("use", "trust", "develop")))


@dataclass(frozen=True)
class Typed:
    """A command, its words, and where it stands; `told`: in a message, and not in a page or docstring."""

    where: str
    start: str
    words: tuple[str, ...]
    told: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {' '.join((self.start, *self.words))}"


def find_commands() -> Iterator[Typed]:
    """Yield every command of pages, scripts and strings."""
    for name in PAGES:
        for page in [ROOT / name] if name.endswith(".md") else sorted((ROOT / name).rglob("*.md")):
            yield from _in_text(page.read_text(encoding="utf-8").replace("\\\n", " "), page)
    for source in sorted((ROOT / "src").rglob("*.py")):
        if "assets" not in source.parts:
            for text, told in _strings(ast.parse(source.read_text(encoding="utf-8"))):
                yield from _in_text(text, source, told=told)


def find_fault(typed: Typed) -> str | None:
    """Return what is wrong with a command, or None."""
    words = list(typed.words)
    if typed.start == HOST:
        return _host_fault(cli, words) or _folder_fault(typed)
    if typed.start.endswith(".image"):
        return _image_fault(words)
    script = typed.start.rpartition("/")[2]
    return None if _is_door(script) else f"no script is called {script}"


def _is_door(script: str) -> bool:
    """Return whether the image has a script of this name: an entry point, or a file a patch or the build adds."""
    if any((IMAGE / "entrypoints").rglob(script)):
        return True
    writers = (*(ROOT / "patches").glob("*.py"), *(IMAGE / "build").iterdir())
    return any(script in path.read_text(encoding="utf-8") for path in writers if path.is_file())


def _folder_fault(typed: Typed) -> str | None:
    """Return the folder a message's fetch or check would be refused for; a page may speak of the command alone."""
    command, kind = typed.words[:2] if len(typed.words) > 1 else ("", "")
    if not typed.told or command not in ("fetch", "check") or kind not in FOLDERS:
        return None
    own = typed.words[-1].endswith(".tsv")
    return None if own or {FOLDERS[kind], "--bundle"} & set(typed.words) else f"{FOLDERS[kind]} FOLDER is missing"


def _strings(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield each string, and whether it is told: no docstring."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else FILLED for part in node.values), True
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value, id(node) not in documented


def _in_text(text: str, path: Path, *, told: bool = False) -> Iterator[Typed]:
    for match in TYPED.finditer(text):
        rest = END.split(match["rest"], maxsplit=1)[0]
        start = match["start"].replace("python3", "python")
        yield Typed(str(path.relative_to(ROOT)), start, tuple(word.strip("'\"[]<>") for word in rest.split()), told)


def _host_fault(group: click.Group, words: list[str]) -> str | None:
    command: click.Command = group
    while isinstance(command, click.Group):
        if not words or _stands_for_any(words[0]) or words[0] in PROSE or (command is group and words[0] in ABOUT):
            return None
        if words[0] in ("--help", "--version", "-h"):
            return None
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"no command is called {words[0]}"
        command, words = found, words[1:]
    return _click_fault(command, words)


def _click_fault(command: click.Command, words: list[str]) -> str | None:
    found = [one for one in command.params if isinstance(one, click.Option)]
    options = {name: option for option in found for name in (*option.opts, *option.secondary_opts)}
    given: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("-") and word.strip("-"):
            name = word.partition("=")[0]
            if FILLED in name or name in ("--help", "-h"):
                continue
            if name not in options:
                return f"no option is called {name}"
            if not options[name].is_flag and "=" not in word and words:
                words.pop(0)
        elif word in PROSE:
            break
        else:
            given.append(word)
    return _arguments_fault(command, given)


def _arguments_fault(command: click.Command, given: list[str]) -> str | None:
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    for argument, word in zip(arguments, given, strict=False):
        if isinstance(argument.type, click.Choice) and not _stands_for_any(word):
            for one in word.split("|"):
                if one not in argument.type.choices:
                    return f"{one} is none of {', '.join(map(str, argument.type.choices))}"
    if command.name in ("fetch", "check") and len(given) > 1:
        return _names_fault(given[0], [name for name in given[1:] if not _stands_for_any(name)])
    return None


def _names_fault(kind: str, given: list[str]) -> str | None:
    chosen = [name for name in given if not name.endswith(".tsv")]
    try:
        if chosen and kind == "data":
            names.choose_data(chosen, locked_files.load_datasets(ROOT / "locks"))
        elif chosen and kind == "weights":
            names.choose_repos(chosen, locked_files.load_weights(ROOT / "locks"))
        elif chosen and kind == "datasets":
            names.choose_datasets(chosen)
    except UsageError as error:
        return error.message
    return None


def _stands_for_any(word: str) -> bool:
    if matrix.find_benchmark(word):
        return False
    return FILLED in word or word.isupper() or not word.strip(".…")


def _image_fault(words: list[str]) -> str | None:
    if not words or _stands_for_any(words[0]) or words[0] in PROSE or words[0].startswith("-"):
        return None
    name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
    if name not in COMMANDS:
        return f"no command is called {words[0]}"
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[name][0]).add_arguments(parser)
    options = _options(parser)
    for word in words[len(name.split()) :]:
        if word in PROSE or word == "--":
            break
        option = word.partition("=")[0]
        if option.startswith("--") and FILLED not in option and option not in options:
            return f"no option is called {option}"
    return None


def _options(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found |= _options(child)
    return found
