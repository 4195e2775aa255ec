"""The spare evaluator, forked before its run."""

from __future__ import annotations

import os
import signal

import pytest
from support import wait_until
from support.session_client import StartServer, alive, begin, children, run, spare_of


def test_the_next_run_has_the_evaluator_that_waited_and_the_one_after_it_another(
    start: StartServer, environ: dict[str, str]
) -> None:
    server = start()
    spare = spare_of(server)

    first, second = run(environ, "pid").stdout, run(environ, "pid").stdout

    assert first == f"{spare}\n-> 0\n"
    assert second.endswith("-> 0\n")
    assert second != first


def test_a_run_has_its_own_signals_in_the_evaluator_that_waited(start: StartServer, environ: dict[str, str]) -> None:
    spare = spare_of(start())
    process = begin(environ, "sleep", "600")

    os.kill(spare, signal.SIGTERM)

    assert process.communicate(timeout=wait_until.SECONDS)[0].endswith("-> 143\n")


def test_an_evaluator_that_is_killed_while_it_waits_is_not_missed(start: StartServer, environ: dict[str, str]) -> None:
    server = start()
    for number in (signal.SIGKILL, signal.SIGTERM):  # one that is held back is heard when it has work
        spare = spare_of(server)
        os.kill(spare, number)
        if number == signal.SIGKILL:
            wait_until.until(lambda gone=spare: gone not in children(server.pid))

    assert run(environ, "exit", "4").stdout in ("-> 4\n", "-> 143\n")
    assert run(environ, "exit", "4").stdout == "-> 4\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_no_evaluator_waits_for_a_server_that_ended(start: StartServer, number: signal.Signals) -> None:
    server = start()
    spare = spare_of(server)

    server.send_signal(number)

    server.wait(timeout=wait_until.SECONDS)
    wait_until.until(lambda: not alive(spare))
