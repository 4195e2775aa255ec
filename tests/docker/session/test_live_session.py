"""One session of uid 12345, read-only root, no network: found, shared, killed at every end, continued."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from support import wait_until
from support.containers.live_session import MODEL, SAMPLES, USER, LiveSession

from vldock.host.containers import cleanup
from vldock.host.sessions import spec as session_spec

ONCE = "is loaded in the session's worker"


@pytest.fixture(scope="module")
def live(docker_client: Any, image: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSession]:
    """A ready session."""
    outputs = tmp_path_factory.mktemp("session") / "outputs"
    outputs.mkdir()
    os.chown(outputs, USER, USER)
    made = LiveSession(docker_client, image.id, f"t{uuid.uuid4().hex[:8]}", outputs)
    started = made.start()
    assert started.returncode == 0, started.stderr
    yield made
    for handle in cleanup.find(docker_client, role=session_spec.ROLE):
        if handle.name == session_spec.container_name(made.name):
            cleanup.end_container(handle)


def has_every_prediction(live: LiveSession, benchmark: str) -> bool:
    """Return whether every sample of a cell has exactly one prediction."""
    found = live.predicted(benchmark)
    return len(found) == len(set(found)) == SAMPLES


def test_the_line_a_user_types_finds_the_worker_and_says_so_once(live: LiveSession) -> None:
    done = live.run_py("--data", "POPE")

    assert done.exit_code == 0, done.text
    assert done.stderr.count(ONCE) == 1
    assert f"SCORE {MODEL} x POPE" in done.stdout
    assert has_every_prediction(live, "POPE")


def test_the_files_belong_to_who_started_the_session(live: LiveSession) -> None:
    owners = {path.stat().st_uid for path in live.outputs.rglob("*")}

    assert owners == {USER}


@pytest.mark.parametrize(
    ("words", "code"),
    [(("--data", "POPPE"), 2), (("--data", "POPE", "--limit", "many"), 2), (("--data", "POPE", "--limit", "2"), 0)],
    ids=["unknown benchmark", "wrong limit", "two samples"],
)
def test_an_exit_code_is_the_one_run_py_has(live: LiveSession, words: tuple[str, ...], code: int) -> None:
    assert live.run_py(*words).exit_code == code


def test_another_user_of_the_container_is_refused(live: LiveSession) -> None:
    socket = live.status()["socket"]
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect({socket!r})"

    assert "PermissionError" in live.inside("python", "-c", connect, user="4444:4444").stderr
    assert live.inside("python", "-m", "vldock.image", "session", "stop", user="4444:4444").exit_code == 3
    assert live.status()["state"] == "ready"


def test_a_short_evaluation_does_not_wait_for_a_long_one(live: LiveSession) -> None:
    with live.hold_answers(), live.evaluating("MMStar") as long:
        wait_until.until(lambda: live.count_asked("MMStar") >= 1)
        short = live.vldock("eval", "--data", "OCRBench", "--samples", "1")
        still = long.poll() is None
        models = live.status()["models"]
    long.wait()
    live.wait_until_idle()

    assert (short.returncode, still) == (0, True), short.stderr
    assert [model["name"] for model in models] == [MODEL]


def test_ctrl_c_cancels_and_the_next_evaluation_continues(live: LiveSession) -> None:
    with live.hold_answers(), live.evaluating("AI2D_TEST") as first:
        live.wait_until_mid_cell("AI2D_TEST")
        first.send_signal(signal.SIGINT)
        code = first.wait()
    before = count_answers(live)
    again = live.vldock("eval", "--data", "AI2D_TEST")

    assert (code, again.returncode) == (130, 0), again.stderr
    assert has_every_prediction(live, "AI2D_TEST")
    assert count_answers(live) - before < SAMPLES - 1


def count_answers(live: LiveSession) -> int:
    """Return the number of questions the worker has answered."""
    return int(live.status()["models"][0]["answers"])


def test_a_client_that_is_killed_leaves_no_evaluator_and_loses_nothing(live: LiveSession) -> None:
    with live.hold_answers(), live.evaluating("ChartQA_TEST") as first:
        live.wait_until_mid_cell("ChartQA_TEST")
        (running,) = live.status()["running"]
        live.inside("bash", "-c", f"kill -9 {running['pid']}")
        code = first.wait()
    live.wait_until_idle()
    left = live.inside("bash", "-c", "cat /proc/[0-9]*/cmdline").stdout

    assert code == 137
    assert left.count("vldock.image") == left.count("serve") + left.count("session.worker")
    assert live.vldock("eval", "--data", "ChartQA_TEST").returncode == 0
    assert has_every_prediction(live, "ChartQA_TEST")


def test_a_worker_that_is_killed_is_started_again_and_the_evaluation_goes_on(live: LiveSession) -> None:
    with live.hold_answers(), live.evaluating("RealWorldQA") as running:
        live.wait_until_mid_cell("RealWorldQA")
        live.inside("bash", "-c", f"kill -9 {live.status()['worker_pid']}")
        live.release_answers()
        _, said = running.communicate()

    assert running.returncode == 0, said
    cause = "killed by SIGKILL (kill -9)"
    assert f"the worker died and is started again ({cause})" in said
    told = live.status()
    assert (told["worker_restarts"], told["worker_cause"], told["state"]) == (1, cause, "ready")
    assert has_every_prediction(live, "RealWorldQA")


def test_a_container_that_is_killed_continues_when_it_is_started_again(live: LiveSession) -> None:
    with live.hold_answers(), live.evaluating("VizWiz") as running:
        live.wait_until_mid_cell("VizWiz")
        live.handle.kill()
        code = running.wait()
    predicted = live.count_asked("VizWiz")
    live.vldock("stop")
    started = live.start()
    again = live.vldock("eval", "--data", "VizWiz")

    assert (code, started.returncode, again.returncode) == (3, 0, 0), again.stderr
    assert has_every_prediction(live, "VizWiz")
    assert count_answers(live) < SAMPLES - predicted + 2


def test_stop_leaves_the_results_and_nothing_else(live: LiveSession) -> None:
    live.run_py("--data", "POPE", "--limit", "1")
    done = live.vldock("stop")

    assert done.returncode == 0, done.stderr
    assert [h.name for h in cleanup.find(live.client, role=session_spec.ROLE) if live.name in h.name] == []
    assert live.file("POPE", ".xlsx").exists()
