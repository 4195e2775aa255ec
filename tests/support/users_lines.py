"""Reader of tests/docker/the_users_lines.md: sections, their lines, and what each must print."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "@@line"
KEYS = ("where", "given")


@dataclass
class Line:
    """Command typed, exit code, texts that must and must not be printed."""

    command: str
    exit_code: int = 0
    expected: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)

    def problems(self, exit_code: int, printed: str) -> list[str]:
        """Return what differs from the file: nothing where the line did what it must."""
        found = [] if exit_code == self.exit_code else [f"exit {exit_code}, expected {self.exit_code}"]
        place = 0
        for text in self.expected:
            match = _pattern(text).search(printed, place)
            if match:
                place = match.end()
            else:
                found.append(f"not printed (in this order): {text}")
        found += [f"printed: {text}" for text in self.unwanted if _pattern(text).search(printed)]
        return [f"$ {self.command}", *found, "--- it printed", printed[-4000:]] if found else []


@dataclass
class Section:
    """Lines one after another in one shell, in one container or on the host."""

    document: str
    title: str
    where: str = "container"
    given: tuple[str, ...] = ()
    lines: list[Line] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The test's name."""
        return f"{self.document}: {self.title}"

    def container_options(self) -> argparse.Namespace:
        """Return the options after `container`: -e NAME=VALUE, --user, --read-only, --tmpfs, --memory."""
        parser = argparse.ArgumentParser(exit_on_error=False)
        parser.add_argument("where", choices=["container"])
        parser.add_argument("-e", action="append", default=[])
        parser.add_argument("--user")
        parser.add_argument("--read-only", action="store_true")
        parser.add_argument("--tmpfs", action="append", default=[])
        return parser.parse_args(shlex.split(self.where))

    def script(self) -> str:
        """Return the bash script that runs the lines and marks where each one ends, with its exit code."""
        return "".join(f"{line.command}\nprintf '\\n{MARK} %d@@\\n' $?\n" for line in self.lines)

    def problems(self, printed: str) -> list[str]:
        """Return what differs in a run of the script."""
        parts = re.split(rf"{MARK} (\d+)@@\n", printed)
        outcomes = list(zip(parts[::2], parts[1::2], strict=False))
        found = [
            text
            for line, (said, code) in zip(self.lines, outcomes, strict=False)
            for text in line.problems(int(code), said)
        ]
        if len(outcomes) < len(self.lines):
            found += [f"the shell ended in: {self.lines[len(outcomes)].command}", parts[-1][-4000:]]
        return found


def read_sections(path: Path) -> list[Section]:
    """Return the sections of the file. Raises ValueError naming a line that has no meaning."""
    return list(_sections(path.read_text(encoding="utf-8").splitlines()))


def _sections(text: Sequence[str]) -> Iterator[Section]:
    document, section, inside = "", None, False
    for number, line in enumerate(text, 1):
        if line.startswith("```"):
            inside = not inside and line == "```console"
        elif inside and section:
            try:
                _add(section.lines, line)
            except (ValueError, IndexError) as error:
                raise ValueError(f"line {number}: {line!r}; expected $, exit N, > text, not> text") from error
        elif line.startswith("## "):
            document = line[3:]
        elif line.startswith("### "):
            if section:
                yield section
            section = Section(document, line[4:])
        elif section and (match := re.fullmatch(r"(\w+): (.+)", line)) and match[1] in KEYS:
            setattr(section, match[1], match[2] if match[1] == "where" else tuple(match[2].split(", ")))
    if section:
        yield section


def _add(lines: list[Line], text: str) -> None:
    if text.startswith("$ "):
        lines.append(Line(text[2:]))
    elif text.startswith("> "):
        lines[-1].expected.append(text[2:])
    elif text.startswith("not> "):
        lines[-1].unwanted.append(text[5:])
    elif match := re.fullmatch(r"exit (\d+)", text):
        lines[-1].exit_code = int(match[1])
    elif lines and not (lines[-1].expected or lines[-1].unwanted):
        lines[-1].command += f"\n{text}"
    else:
        raise ValueError(text)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(part) for part in text.split("...")))
