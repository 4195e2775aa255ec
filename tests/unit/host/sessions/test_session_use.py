"""Stale sessions, commands in a session, and the display of sessions."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.builders import CREATED, a_session

from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.cli.session import exec as session_exec
from vldock.host.sessions import display as session_display
from vldock.host.sessions import find as session_find
from vldock.host.sessions import owner as session_owner
from vldock.host.sessions import stop as session_stop
from vldock.host.sessions.control import SessionStatus

MODEL = "llava_v1.5_7b"


def told(state: str = "ready", **raw: Any) -> SessionStatus:
    return SessionStatus(state, {"state": state, **raw})


NOW = session_find.parse_time(CREATED) + timedelta(hours=1)
BUSY = [{"id": "1", "argv": ["--data", "POPE"]}]


@pytest.mark.parametrize(
    ("values", "answer", "why"),
    [
        ({"state": "exited", "code": 137}, None, "exited (exit 137)"),
        ({"state": "dead"}, None, "dead"),
        ({"state": "created"}, None, "never started"),
        ({"health": "unhealthy"}, None, "unhealthy"),
        ({}, told(idle_seconds=7200), "idle for 2 h"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_nobody_can_use_or_uses_is_waste(values: dict[str, Any], answer: SessionStatus | None, why: str) -> None:
    (waste,) = session_stop.plan(
        [a_session(**values)], older_than=3600, read_status=lambda session: answer, now=lambda: NOW
    )

    assert why in str(waste)


@pytest.mark.parametrize(
    ("values", "answer", "older_than"),
    [
        ({}, told(idle_seconds=7200), None),
        ({}, told(idle_seconds=60), 3600.0),
        ({}, told(idle_seconds=0, running=BUSY), 0.0),
        ({}, None, 3600.0),
        ({"owner": f"elsewhere:{os.getpid()}:1.00"}, None, None),
    ],
    ids=["idle, and nobody asked", "idle, not for long", "at work", "no answer yet", "another machine's owner"],
)
def test_what_may_be_in_use_is_left(
    values: dict[str, Any], answer: SessionStatus | None, older_than: float | None
) -> None:
    every = [a_session(**values)]

    assert session_stop.plan(every, older_than=older_than, read_status=lambda session: answer, now=lambda: NOW) == []


def test_a_session_just_made_is_another_commands_start() -> None:
    soon = session_find.parse_time(CREATED) + timedelta(seconds=5)

    assert session_stop.plan([a_session(state="created")], older_than=None, now=lambda: soon) == []


def test_a_session_is_waste_when_the_process_it_belongs_to_is_over() -> None:
    with subprocess.Popen(["sleep", "3600"]) as owner:
        mark = session_owner.owner_mark(owner.pid)
        before = session_stop.plan([a_session(owner=mark)], older_than=None)
        owner.kill()

    assert before == []
    assert "is over" in session_stop.plan([a_session(owner=mark)], older_than=None)[0].why


def test_an_owner_whose_number_another_process_has_now_is_over() -> None:
    machine, pid, started = session_owner.owner_mark(os.getpid()).rsplit(":", 2)

    assert session_owner.has_ended(f"{machine}:{pid}:{float(started) - 100:.2f}")
    assert not session_owner.has_ended(f"{machine}:{pid}:{started}")


def test_an_owner_that_is_no_process_is_refused() -> None:
    with pytest.raises(UsageError, match="--owner"):
        session_owner.owner_mark(2**22 + 1)


@pytest.mark.parametrize(
    ("typed", "name", "rest"),
    [
        ((), "default", ()),
        (("two",), "two", ()),
        (("--mode", "infer"), "default", ("--mode", "infer")),
        (("two", "--mode", "infer"), "two", ("--mode", "infer")),
    ],
)
def test_a_first_word_that_is_no_option_is_the_sessions_name(
    typed: tuple[str, ...], name: str, rest: tuple[str, ...]
) -> None:
    assert session_exec.split_words(typed) == (name, rest)


def run_py(found: session_find.Session, **given: Any) -> list[str]:
    options: dict[str, Any] = {"data": ["POPE,MMStar"], "models": (), "samples": None, "judge": None, "extra": ()}
    options |= {"engine_name": None, "batch_size": None, "feature_cache": False, **given}
    return session_exec.run_py_command(found, **options)


def test_an_evaluation_is_the_line_a_user_types() -> None:
    line = run_py(
        a_session(), samples=10, engine_name="batched", batch_size="auto", feature_cache=True, extra=("--mode", "infer")
    )

    assert " ".join(line) == (
        f"python /workspace/VLMEvalKit/run.py --data POPE MMStar --model {MODEL} --limit 10 "
        "--engine batched --batch-size auto --feature-cache --mode infer"
    )


def test_a_model_must_be_named_where_the_session_holds_two() -> None:
    with pytest.raises(UsageError, match="no --model"):
        run_py(a_session(models="llava_v1.5_7b,llava_v1.5_13b"))


def test_a_session_is_shown_with_its_models_and_what_is_at_work() -> None:
    answer = told(
        models=[{"name": MODEL, "state": "ready", "bytes": 14e9}], running=BUSY, rss_bytes=2e9, idle_limit=1800
    )

    lines = session_display.status_lines(a_session(), answer)

    assert lines[0] == "session default: ready, 1 at work"
    assert f"model {MODEL}: ready (14.00 GB)" in lines
    assert lines[-1] == "at work 1: run.py --data POPE"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("failed", "worker died: ValueError: no index"),
        ("starting", "worker died: ValueError: no index (starting again)"),
        ("ready", "ready"),
    ],
)
def test_a_session_whose_worker_died_is_shown_and_listed_with_the_cause(state: str, text: str) -> None:
    answer = told(state, worker_cause="ValueError: no index", worker_restarts=3)

    lines = session_display.status_lines(a_session(), answer)

    assert lines[0] == f"session default: {text}"
    assert any("worker restarts 3 (the last time: ValueError: no index)" in line for line in lines)
    assert session_display.session_json(a_session(), answer)["worker_cause"] == "ValueError: no index"


def test_a_session_that_does_not_answer_is_listed_with_what_docker_knows() -> None:
    row = session_display.session_json(
        a_session(state="exited", code=3), None, now=datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)
    )

    assert (row["state"], row["container_state"], row["exit_code"], row["age_seconds"]) == (None, "exited", 3, 3600.0)
    assert row["models"] == [{"name": MODEL, "state": "asked"}]


def test_a_session_that_does_not_run_says_how_to_start_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_find, "find_all", lambda client: [a_session(state="exited", code=0)])

    with pytest.raises(EnvironmentUnfit, match=r"exited \(exit 0\)") as caught:
        session_find.require_running(None, "default")

    assert f"vldock session start --model {MODEL}" in (caught.value.hint or "")


def test_a_session_that_is_not_there_names_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_find, "find_all", lambda client: [a_session("two")])

    with pytest.raises(EnvironmentUnfit, match="there are: two"):
        session_find.require(None, "three")
