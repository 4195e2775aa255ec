"""The session's server: evaluators with their client's streams, parallel runs, its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import wait_until
from support.session_client import StartServer, begin, run, status

from vldock.common.errors import EnvironmentUnfit
from vldock.image.session import server_socket, socket_paths


def test_an_evaluator_has_the_clients_streams_folder_and_environment(
    start: StartServer, environ: dict[str, str], tmp_path: Path
) -> None:
    start()

    ended = run({**environ, "COLOUR": "blue"}, "say", "hello", cwd=tmp_path, input="from stdin")

    assert ended.stdout.splitlines() == [f"hello blue {tmp_path}", "-> 0"]
    assert ended.stderr == "from stdin"


def test_the_exit_status_is_the_evaluators(start: StartServer, environ: dict[str, str]) -> None:
    start()

    assert run(environ, "exit", "4").stdout == "-> 4\n"


def test_a_declined_run_is_said_and_left_to_the_caller(start: StartServer, environ: dict[str, str]) -> None:
    start()

    ended = run(environ, "decline", "another revision")

    assert ended.stdout == "-> None\n"
    assert ended.stderr == "session: another revision: loading in this process\n"


def test_runs_at_once_do_not_wait_for_each_other(start: StartServer, environ: dict[str, str]) -> None:
    start()
    slow = begin(environ, "sleep", "600")

    assert run(environ, "exit", "0").stdout == "-> 0\n"

    assert [one["argv"] for one in (status() or {})["running"]] == [["sleep", "600"]]
    slow.kill()
    slow.communicate()


def test_a_session_ends_when_nobody_asked_for_long_enough(start: StartServer, environ: dict[str, str]) -> None:
    process = start("--idle", "0.5")

    said, _ = process.communicate(timeout=wait_until.SECONDS)

    assert process.returncode == 0
    assert "idle_stop" in [json.loads(line)["event"] for line in said.splitlines()]
    assert not socket_paths.exists(environ)


def test_a_second_session_of_one_user_is_refused(start: StartServer, environ: dict[str, str]) -> None:
    start()

    with pytest.raises(EnvironmentUnfit, match="a session of this user is here already"):
        server_socket.lock(socket_paths.make(environ))
