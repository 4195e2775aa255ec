"""Parts of a session that need no process: queue, messages, inherited environment, plain data of a model."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vldock.image.process import stats as process_stats
from vldock.image.session import evaluator, loaded_models, message_stream, remote_model, worker
from vldock.image.session.fair_queue import FairQueue


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_clients_are_served_one_after_the_other() -> None:
    turns: FairQueue[str, int] = FairQueue()
    for number in range(3):
        turns.put("many", number)
    turns.put("one", 9)

    assert [turns.take() for _ in range(4)] == [("many", 0), ("one", 9), ("many", 1), ("many", 2)]


def test_what_is_not_finished_comes_before_its_owners_rest_and_after_the_others() -> None:
    turns: FairQueue[str, str] = FairQueue()
    turns.put("a", "first")
    turns.put("a", "later")
    owner, item = turns.take()
    turns.put("b", "other")

    turns.put_back(owner, item)

    assert [turns.take() for _ in range(3)] == [("b", "other"), ("a", "first"), ("a", "later")]


def test_a_client_that_is_gone_has_no_turn() -> None:
    turns: FairQueue[str, str] = FairQueue()
    turns.put("gone", "x")
    turns.put("here", "y")

    turns.drop("gone")

    assert turns.take() == ("here", "y")


@pytest.mark.timeout(300)
def test_taking_waits_for_a_request() -> None:
    turns: FairQueue[str, str] = FairQueue()
    threading.Timer(0.1, turns.put, ("late", "x")).start()

    assert turns.take() == ("late", "x")


def test_messages_arrive_whole_whatever_the_pieces(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    inbox, data = message_stream.Inbox(), message_stream.pack({"text": "x" * 5000}) + message_stream.pack([1, 2])
    seen: list[Any] = []
    for start in range(0, len(data), 700):
        ours.send(data[start : start + 700])
        seen += inbox.feed(theirs)

    assert seen == [{"text": "x" * 5000}, [1, 2]]


def test_descriptors_ride_along(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    reading, writing = os.pipe()
    message_stream.send(ours, "take it", descriptors=[writing])
    os.close(writing)
    inbox = message_stream.Inbox()

    while not inbox.feed(theirs):
        pass
    (taken,) = inbox.take_descriptors()
    os.write(taken, b"through")

    assert os.read(reading, 10) == b"through"
    os.close(taken)
    os.close(reading)


def test_the_end_of_a_connection_is_told(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.close()

    with pytest.raises(message_stream.Closed):
        message_stream.Stream(theirs).receive()


@pytest.mark.parametrize(
    ("now", "names"),
    [
        ({"HF_HOME": "/b"}, ["HF_HOME"]),
        ({"HF_HOME": "/a", "LMUData": "/data", "HF_TOKEN": "secret"}, []),
        ({}, ["HF_HOME"]),
        ({"HF_HOME": "/a", "VLDOCK_DTYPE": "bfloat16"}, ["VLDOCK_DTYPE"]),
    ],
    ids=["other", "not read at import", "missing", "added"],
)
def test_variables_read_at_import_must_be_the_sessions(now: dict[str, str], names: list[str]) -> None:
    assert evaluator.differences({"HF_HOME": "/a"}, now) == names


@pytest.mark.parametrize(
    ("value", "plain"),
    [({"a": [1, None, "x"]}, True), ((1.5, True), True), ({"f": print}, False), (object(), False)],
    ids=["nested", "tuple", "function", "object"],
)
def test_only_data_of_a_model_goes_to_an_evaluator(value: Any, plain: bool) -> None:
    assert loaded_models.is_plain(value) is plain


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_error_that_cannot_travel_keeps_its_type_and_text() -> None:
    error = worker.portable(Odd(1, 2))

    assert repr(error) == "RuntimeError('Odd: 1 and 2')"


def test_an_error_that_can_travel_is_itself() -> None:
    error = FileNotFoundError(2, "no such file", "/a.png")

    assert worker.portable(error) is error


def test_images_are_named_by_their_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    message = [{"type": "image", "value": "a.png"}, {"type": "text", "value": "a.png"}]

    assert [item["value"] for item in remote_model.with_absolute_paths(message)] == [str(tmp_path / "a.png"), "a.png"]


def test_what_a_machine_has_left_is_bounded_by_the_containers_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_stats, "GROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")

    assert process_stats.free_below_limit() == 600


def test_without_a_limit_the_machine_alone_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_stats, "GROUPS", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")

    assert process_stats.free_below_limit() > process_stats.available_memory() > 0
