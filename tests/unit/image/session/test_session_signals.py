"""Signals and ends: neither a client nor its evaluator outlives the other unnoticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support import wait_until
from support.session_client import StartServer, alive, begin, children, status

from vldock.image.session import client, socket_paths

SIGNALLED = """
import os
from vldock.image.session import client, message_stream as wire
send = wire.Stream.send
def send_and_signal(stream, message, **options):
    send(stream, message, **options)
    if message["op"] == "run":
        os.kill(os.getpid(), {number})
wire.Stream.send = send_and_signal
print("->", client.attach(["sleep", "600"], os.environ))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_a_signal_reaches_the_evaluator(start: StartServer, environ: dict[str, str], number: signal.Signals) -> None:
    start()
    process = begin(environ, "sleep", "600")

    process.send_signal(number)

    said, _ = process.communicate(timeout=wait_until.SECONDS)
    assert said.endswith("-> 130\n" if number is signal.SIGINT else "-> 143\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "term"])
def test_a_signal_that_comes_as_the_request_is_sent_reaches_the_evaluator(
    start: StartServer, environ: dict[str, str], number: signal.Signals
) -> None:
    start()
    code = SIGNALLED.format(number=int(number))

    ended = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)

    assert ended.stdout.endswith("-> 130\n" if number is signal.SIGINT else "-> 143\n"), ended.stderr


def test_a_killed_client_takes_its_evaluator_and_its_pool_along(start: StartServer, environ: dict[str, str]) -> None:
    start()
    process = begin(environ, "pool")
    child = (status() or {})["running"][0]["pid"]

    process.kill()
    process.communicate()

    wait_until.until(lambda: not (status() or {})["running"])
    wait_until.until(
        lambda: subprocess.run(["pgrep", "-s", str(child)], stdout=subprocess.DEVNULL, check=False).returncode == 1
    )


def test_a_run_is_cancelled_by_its_name(start: StartServer, environ: dict[str, str]) -> None:
    start()
    process = begin({**environ, socket_paths.REQUEST: "mine"}, "sleep", "600")

    assert client.ask(os.environ, {"op": "cancel", "id": "another"}) == {"cancelled": 0}
    assert client.ask(os.environ, {"op": "cancel", "id": "mine"}) == {"cancelled": 1}

    assert process.communicate(timeout=wait_until.SECONDS)[0].endswith("-> 130\n")


def test_stopping_ends_what_runs_and_leaves_no_socket(start: StartServer, environ: dict[str, str]) -> None:
    server = start()
    process = begin(environ, "sleep", "600")

    answer = client.ask(os.environ, {"op": "stop"})

    assert answer == {"stopping": True, "running": 1}
    assert process.communicate(timeout=wait_until.SECONDS)[0].endswith("-> 130\n")
    assert server.wait(timeout=wait_until.SECONDS) == 0
    assert not socket_paths.exists(environ)


def test_a_killed_server_leaves_no_evaluator_and_its_client_says_so(
    start: StartServer, environ: dict[str, str]
) -> None:
    server = start()
    process = begin(environ, "sleep", "600")
    child = next(iter(children(server.pid)))

    server.kill()

    _, told = process.communicate(timeout=wait_until.SECONDS)
    assert "the session ended while this ran" in told
    wait_until.until(lambda: not alive(child))
