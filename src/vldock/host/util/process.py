"""Run other programs: argv lists in, text out; nothing here knows Docker."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NOT_FOUND = 127
TIMED_OUT = 124
LINE_WIDTH = 110


@dataclass(frozen=True)
class Result:
    """A finished program: argv, exit code and both streams as text."""

    argv: tuple[str, ...]
    code: int
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """Whether the exit code was 0."""
        return self.code == 0


Runner = Callable[[Sequence[str]], Result]


def capture(
    argv: Sequence[str], *, timeout: float = 30, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Result:
    """Run `argv` to its end and return its output.

    A program that is not there gives code 127 and one that outlives `timeout` seconds 124, as a shell would; nothing
    is raised. `env` is added to the environment.
    """
    try:
        done = subprocess.run(
            list(argv),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (FileNotFoundError, PermissionError) as error:
        return Result(tuple(argv), NOT_FOUND, stderr=str(error))
    except subprocess.TimeoutExpired:
        return Result(tuple(argv), TIMED_OUT, stderr=f"{argv[0]}: no answer within {timeout:g} s")
    return Result(tuple(argv), done.returncode, done.stdout, done.stderr)


def stream(
    argv: Sequence[str],
    *,
    on_line: Callable[[str], None],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> int:
    """Run `argv`, pass on its lines, and return the exit code.

    Each line is passed on as it comes. Its two streams are merged.
    """
    with subprocess.Popen(
        list(argv),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {})},
        cwd=cwd,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            on_line(line.rstrip("\n"))
    return child.returncode


def run_attached(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
    """Run `argv` on this terminal and return its exit code.

    Ctrl-C is the child's to handle, not ours.
    """
    with subprocess.Popen(list(argv), env={**os.environ, **(env or {})}) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue


def shell_text(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """Return `argv` as a shell command to paste.

    A full line is broken before an option.
    """
    words = [f"{name}={shlex.quote(value)}" for name, value in (env or {}).items()]
    groups = [" ".join(words)] if words else []
    for word in argv:
        quoted = shlex.quote(word)
        if word.startswith("-") or not groups:
            groups.append(quoted)
        else:
            groups[-1] += f" {quoted}"
    lines = [""]
    for group in groups:
        if lines[-1] and len(lines[-1]) + len(group) > LINE_WIDTH:
            lines.append("")
        lines[-1] += f" {group}" if lines[-1] else group
    return " \\\n    ".join(lines)
