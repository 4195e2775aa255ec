"""Clients of a session's server, and the server's child processes.

Each client is a separate process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from support import wait_until
from support.paths import ROOT
from vldock.image.session import client, socket_paths

PATHS = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
CLIENT = "import os, sys; from vldock.image.session import client; print('->', client.attach(sys.argv[1:], os.environ))"
StartServer = Callable[..., "subprocess.Popen[str]"]


def status() -> dict[str, Any] | None:
    """Return the status of the session of this process's environment, None without one."""
    seen: dict[str, Any] | None = client.ask(os.environ, {"op": "status"}) if socket_paths.exists(os.environ) else None
    return seen


def run(environ: dict[str, str], *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a client to its end."""
    command = [sys.executable, "-c", CLIENT, *argv]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=wait_until.SECONDS, check=False, **options
    )


def begin(environ: dict[str, str], *argv: str) -> subprocess.Popen[str]:
    """Start a client and wait for its evaluator's first line."""
    command = [sys.executable, "-c", CLIENT, *argv]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def alive(number: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


def children(number: int) -> list[int]:
    """Return the forks of the server: its living children but the worker."""
    found = Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split()
    return [int(one) for one in found if alive(int(one)) and b"session.worker" not in words_of(one)]


def words_of(number: str) -> bytes:
    """Return a process's command line; the worker's for an ended one."""
    with suppress(OSError):  # it has ended since
        return Path(f"/proc/{number}/cmdline").read_bytes()
    return b"session.worker"


def spare_of(server: subprocess.Popen[str]) -> int:
    """Return the process of the one waiting evaluator.

    It returns as soon as there is one.
    """
    found: list[int] = wait_until.until(lambda: children(server.pid))
    assert len(found) == 1
    return found[0]
