"""Session specs, the start of a session, and stale sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.builders import FakeContainer, a_session, event_line

from vldock.common.errors import InputRefused, UsageError, VldockError
from vldock.host.containers.lifecycle import Exit
from vldock.host.containers.spec import Spec
from vldock.host.matrix.executor import DeviceJob
from vldock.host.runs.devices import Device
from vldock.host.sessions import spec as session_spec
from vldock.host.sessions import start as session_start

MODEL = "llava_v1.5_7b"
JOB = DeviceJob(MODEL, Device("cpu"))
ASKED = session_spec.SessionOptions("default", (MODEL,), 1800.0, "no", False, "me")


def words(**values: Any) -> str:
    from dataclasses import replace

    return " ".join(
        session_spec.container_spec(replace(ASKED, **values), Spec("vldock:4.37"), reaps=True).docker_argv()
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("2d", 172800)]
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert session_spec.parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "soon", "5 m", "1.5h", "m30"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="duration"):
        session_spec.parse_seconds(text)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "ü"])
def test_a_name_docker_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="session"):
        session_spec.container_name(name)


@pytest.mark.parametrize(
    ("idle", "keep", "restart", "seconds"),
    [
        (None, False, "no", session_spec.IDLE_SECONDS),
        ("30m", False, "on-failure:3", 1800.0),
        (None, True, "no", None),
        (None, False, "always", None),
        (None, False, "unless-stopped", None),
    ],
)
def test_a_session_that_docker_starts_again_never_stops_for_being_idle(
    idle: str | None, keep: bool, restart: str, seconds: float | None
) -> None:
    assert session_spec.idle_seconds(idle, keep=keep, restart=restart) == seconds


@pytest.mark.parametrize(
    ("idle", "keep", "restart"),
    [("5m", True, "no"), ("5m", False, "always"), (None, False, "often"), (None, False, "no:3")],
)
def test_options_that_contradict_each_other_are_refused(idle: str | None, keep: bool, restart: str) -> None:
    with pytest.raises(UsageError):
        session_spec.idle_seconds(idle, keep=keep, restart=restart)


def test_the_container_is_named_labelled_detached_and_watched() -> None:
    text = words(restart="on-failure:3")

    for part in (
        "run -d ",
        "--name vldock-session-default",
        "--label vldock.role=session",
        "--label vldock.session=default",
        f"--label vldock.session.models={MODEL}",
        "--restart on-failure:3",
        "--health-interval 30s --health-timeout 20s --health-start-period 1800s",
        f"session serve --model {MODEL} --idle 1800",
    ):
        assert part in text
    assert "--rm" not in text
    assert "--init" not in text


def test_the_engine_is_told_what_the_printed_command_says() -> None:
    from dataclasses import replace

    told = session_spec.container_spec(
        replace(ASKED, restart="on-failure:3", read_only=True), Spec("i"), reaps=False
    ).sdk_arguments()

    assert (told["restart_policy"], told["init"]) == ({"Name": "on-failure", "MaximumRetryCount": 3}, True)
    assert (told["read_only"], told["tmpfs"]) == (True, {"/tmp": ""})
    assert told["healthcheck"]["interval"] == 30_000_000_000


def test_a_session_to_keep_is_given_no_idle_limit() -> None:
    assert "--idle" not in words(idle=None)


@pytest.mark.parametrize(
    ("entrypoint", "reaps"), [(["/usr/bin/tini", "-s", "--"], True), (["python"], False), (None, False)], ids=str
)
def test_an_image_whose_process_1_collects_no_orphans_is_given_one_that_does(entrypoint: Any, reaps: bool) -> None:
    image = type("Image", (), {"attrs": {"Config": {"Entrypoint": entrypoint}}})

    assert session_spec.reaps_orphans(image) is reaps


def followed(*script: Any, end: Exit | None = None, tail: tuple[str, ...] = (), seconds: float = 1e9) -> Any:
    container = FakeContainer(lambda job, names: script, JOB, end or Exit(0), list(tail))
    clock: Iterator[float] = iter(range(0, 10_000, 10))
    return session_start.follow(
        container, requested=(MODEL,), show=lambda item: None, seconds=seconds, clock=lambda: float(next(clock))
    )


def test_a_start_is_followed_until_it_is_ready() -> None:
    seen = followed(
        event_line("model_loading", model=MODEL), None, event_line("ready", models=[MODEL]), event_line("eval_start")
    )

    assert (seen.ready, seen.problem(), seen.exit) == (True, None, None)


@pytest.mark.parametrize(
    ("script", "says_why"),
    [
        (
            [event_line("model_failed", model=MODEL, error="no weights"), event_line("ready", models=[])],
            f"{MODEL}: no weights",
        ),
        ([event_line("ready", models=[])], f"{MODEL}: see below"),
        (
            [event_line("worker_failed", exit=1, cause="ValueError: x")],
            "it died at every start, the last time: ValueError: x",
        ),
    ],
    ids=["a load that failed", "a model that is missing", "a worker that dies"],
)
def test_a_session_without_what_was_asked_is_no_session(script: list[Any], says_why: str) -> None:
    assert says_why in followed(*script).problem()


def test_a_container_that_ends_while_it_loads_gives_its_own_exit_code() -> None:
    seen = followed(event_line("model_loading", model=MODEL), end=Exit(4), tail=("error: a shard is damaged",))

    assert seen.problem() == "its container ended while it loaded: exit 4"
    assert (seen.error_class(), list(seen.tail)) == (InputRefused, ["error: a shard is damaged"])


def test_a_start_out_of_memory_says_so() -> None:
    seen = followed(end=Exit(137, oom=True))

    assert "out of memory" in seen.problem()
    assert seen.error_class() is VldockError


def test_a_start_that_takes_too_long_names_what_its_worker_died_of() -> None:
    seen = followed(event_line("worker_restart", exit=-9, cause="killed by SIGKILL"), *[None] * 50, seconds=60)

    assert seen.problem() == "not ready after 70 s; its worker died: killed by SIGKILL"


def test_a_start_that_takes_too_long_is_given_up() -> None:
    assert followed(*[None] * 50, seconds=60).problem() == "not ready after 70 s"


@pytest.mark.parametrize(
    ("state", "hint"), [("running", "vldock session eval two"), ("exited", "vldock session logs two")]
)
def test_a_name_that_is_taken_is_refused_with_its_state_and_the_next_command(state: str, hint: str) -> None:
    with pytest.raises(UsageError, match=state) as caught:
        session_start.refuse_taken_name(a_session("two", state=state))

    assert hint in (caught.value.hint or "")
