"""Programs are run without a shell; their ends are values."""

from __future__ import annotations

import shlex
import sys

from vldock.host.util import process


def test_a_program_that_is_not_there_is_a_result_and_no_exception() -> None:
    assert process.capture(["/nowhere/at-all"]).code == process.NOT_FOUND


def test_a_program_that_hangs_is_ended() -> None:
    assert (
        process.capture([sys.executable, "-c", "import time; time.sleep(3600)"], timeout=0.2).code == process.TIMED_OUT
    )


def test_lines_of_both_streams_come_as_they_are_printed() -> None:
    lines: list[str] = []

    code = process.stream(["sh", "-c", "echo out; echo err >&2; exit 3"], on_line=lines.append)

    assert (sorted(lines), code) == (["err", "out"], 3)


def test_a_printed_command_is_the_same_command_when_pasted() -> None:
    argv = ["docker", "run", "-e", "A=b c", "--label", "x" * 120, "image", "sh", "-c", "echo 'hi' \"$A\""]

    text = process.shell_text(argv, env={"DOCKER_BUILDKIT": "1"})

    assert "\\\n" in text
    assert shlex.split(text.replace("\\\n", " ")) == ["DOCKER_BUILDKIT=1", *argv]
