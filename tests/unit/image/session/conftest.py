"""A session's server in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import wait_until
from support.session_client import PATHS, StartServer, status

from vldock.image.session import socket_paths


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a session in a temporary folder, also set for this process."""
    monkeypatch.setenv(socket_paths.VARIABLE, str(tmp_path / "session"))
    return {**os.environ, socket_paths.VARIABLE: str(tmp_path / "session"), "PYTHONPATH": PATHS}


@pytest.fixture
def start(environ: dict[str, str]) -> Iterator[StartServer]:
    """A function that starts a server and waits for its status; terminated afterwards."""
    started: list[subprocess.Popen[str]] = []

    def begin(*argv: str, state: str = "ready") -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "support.session_server", *argv]
        started.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True))
        if state:
            wait_until.until(lambda: (status() or {}).get("state") == state or started[-1].poll() is not None)
        return started[-1]

    yield begin
    for process in started:
        process.terminate()
        process.communicate(timeout=wait_until.SECONDS)
