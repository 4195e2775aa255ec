"""No message, help text or page tells people to type what is refused."""

from __future__ import annotations

import pytest
from support import typed_commands
from support.typed_commands import Typed

COMMANDS = list(typed_commands.find_commands())


def test_commands_are_found_in_messages_help_and_pages() -> None:
    kinds = {typed.start for typed in COMMANDS if typed.start.startswith(("vldock", "python -m"))}

    assert kinds == {"vldock", "python -m vldock.image"}
    assert {typed.where.partition("/")[0] for typed in COMMANDS} >= {"src", "docs", "README.md"}
    assert len(COMMANDS) > 400


def test_every_command_that_is_told_is_one_that_is_taken() -> None:
    faults = {str(typed): typed_commands.find_fault(typed) for typed in COMMANDS}

    assert {line: fault for line, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("vldock fetsh weights", "no command is called fetsh"),
        ("vldock session begin", "no command is called begin"),
        ("vldock fetch weight NAME", "weight is none of data, weights, datasets"),
        ("vldock fetch weights no_such_model --cache FOLDER", "unknown model: no_such_model"),
        ("vldock fetch data NoSuchBenchmark --data FOLDER", "unknown benchmark: NoSuchBenchmark"),
        ("vldock fetch datasets POPE --cache FOLDER", "POPE is a benchmark, and no data set of the Hub"),
        ("vldock fetch weights lmsys/vicuna-7b-v1.5", "--cache FOLDER is missing"),
        ("vldock matrix --with-everything", "no option is called --with-everything"),
        ("python -m vldock.image trane", "no command is called trane"),
        ("python -m vldock.image doctor --cure", "no option is called --cure"),
        ("python /workspace/scripts/heal.py", "no script is called heal.py"),
    ],
)
def test_what_would_be_refused_is_found(line: str, fault: str) -> None:
    start = next(one for one in ("vldock", "python -m vldock.image", line.split(" --")[0]) if line.startswith(one))
    words = tuple(line.removeprefix(start).split())

    assert typed_commands.find_fault(Typed("src/a.py", start, words, told=True)) == fault
