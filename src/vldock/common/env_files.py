"""Writer of .env for `docker run --env-file` and of setup_env.sh for bash.

docker takes what stands after the first `=` as it is: no quotes, no escapes, no continued lines; bash acts on spaces,
quotes and `$`, and exports nothing by itself. So `.env` holds raw values below one line that sends bash to setup_env.sh
and stops there; docker takes that line for one more variable. What the two cannot carry (a line break, bytes that are
not UTF-8, a blank at an end) is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from vldock.common.dot_env import BEGIN, END
from vldock.common.errors import UsageError
from vldock.common.filesystem.atomic import write_text

HANDOVER = "WORKSPACE_SETUP"  # the variable docker makes of the line that is meant for bash
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def check(value: str) -> None:
    """Raise UsageError for a value unfit for an env file."""
    if CONTROL.search(value):
        raise UsageError(
            f"{value!r} has a line break or another control character",
            expected="a path on one line: docker run --env-file has no way to write it",
            hint="rename the folder, or reach it through a symbolic link",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{value!r} is not UTF-8", expected="a path in UTF-8", hint="rename the folder") from None
    if value != value.strip():
        raise UsageError(
            f"{value!r} begins or ends in a blank",
            expected="a path without: readers of env files differ on it",
            hint="rename the folder",
        )


def render_dot_env(values: Mapping[str, str], setup: Path) -> str:
    """Return our block of lines for `.env`; `setup` is the path of setup_env.sh."""
    for value in (*values.values(), str(setup)):
        check(value)
    lines = [
        BEGIN,
        "# For bash, which the next line sends to setup_env.sh: it stops reading there.",
        f"{HANDOVER}=setup_env.sh; source {shlex.quote(str(setup))}; return",
        "# For docker run --env-file: raw values, since it knows no quotes.",
    ]
    return "\n".join([*lines, *(f"{name}={value}" for name, value in values.items()), END, ""])


def merge(text: str, block: str) -> str:
    """Return the text of an existing `.env` with our block at its end.

    Its other lines (tokens) are unchanged.
    """
    before, begin, rest = text.partition(BEGIN)
    if begin:
        _, _, after = rest.partition(END)
        text = before + after.lstrip("\n")
    if text and not text.endswith("\n"):
        text += "\n"
    return text + block


def render_setup_env(values: Mapping[str, str]) -> str:
    """Return setup_env.sh: one quoted export per variable."""
    for value in values.values():
        check(value)
    head = [
        "# shellcheck shell=bash",
        "# Written by setup_workspace_cache.py. In bash or sh: source this file before Python starts.",
    ]
    return "\n".join([*head, *(f"export {name}={shlex.quote(value)}" for name, value in values.items()), ""])


def write(path: Path, text: str, *, mode: int) -> None:
    """Write `path` atomically; an existing file keeps its mode."""
    if path.exists():
        mode = path.stat().st_mode & 0o777
    write_text(path, text, mode=mode)
