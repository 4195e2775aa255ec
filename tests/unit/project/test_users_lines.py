"""The reader of tests/docker/the_users_lines.md, and that every section of it has lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import users_lines
from support.paths import ROOT

FILE = ROOT / "tests/docker/the_users_lines.md"
TEXT = """## Document

### One
where: container --user 5 -e A=b
given: tiny, flowers

```console
$ cd x && \\
  ls
> first ... third
not> error
$ false
exit 1
```
"""


def section(tmp_path: Path) -> users_lines.Section:
    (tmp_path / "lines.md").write_text(TEXT)
    return users_lines.read_sections(tmp_path / "lines.md")[0]


def printed(*outcomes: tuple[str, int]) -> str:
    return "".join(f"{said}\n{users_lines.MARK} {code}@@\n" for said, code in outcomes)


def test_a_section_is_read_as_written(tmp_path: Path) -> None:
    read = section(tmp_path)

    assert (read.name, read.given) == ("Document: One", ("tiny", "flowers"))
    assert [(line.command, line.exit_code) for line in read.lines] == [("cd x && \\\n  ls", 0), ("false", 1)]
    assert (read.container_options().user, read.container_options().e) == ("5", ["A=b"])


@pytest.mark.parametrize(
    ("outcomes", "problem"),
    [
        ((("first second third", 0), ("", 1)), ""),
        ((("first third", 1), ("", 1)), "exit 1, expected 0"),
        ((("third first", 0), ("", 1)), "not printed (in this order): first ... third"),
        ((("first third error", 0), ("", 1)), "printed: error"),
        ((("first third", 0),), "the shell ended in: false"),
    ],
)
def test_a_difference_is_a_problem(tmp_path: Path, outcomes: tuple[tuple[str, int], ...], problem: str) -> None:
    problems = section(tmp_path).problems(printed(*outcomes))

    assert problem in problems if problem else problems == []


def test_every_section_of_the_file_has_lines() -> None:
    sections = users_lines.read_sections(FILE)

    assert sections
    assert [each.name for each in sections if not each.lines] == []
