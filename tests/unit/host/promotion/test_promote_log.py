"""The promotion log: lines survive kills, copies merge, a tag's history is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vldock.common.errors import InputRefused
from vldock.host.promotion import log as promotion_log
from vldock.host.promotion.log import Entry, LogFile, Move

PLACE = "registry.test/vldock"


def entry(number: int, at: str | None, to: str, *, action: str = "promote", tag: str = "stable") -> Entry:
    """Return the entry of a moved tag."""
    return Entry(
        id=str(number),
        state="done",
        time=f"2026-11-01T12:00:{number:02d}",
        action=action,  # type: ignore[arg-type]
        repository=PLACE,
        digest=to,
        config="sha256:c",
        moves=(Move(tag, at, to),),
        receipts=("sha256:r",),
        signed=("signed by k",),
        source="engine:x",
        vldock="0.1.0",
    )


def history(*entries: Entry, tag: str = "stable") -> list[str]:
    """Return the history of a tag."""
    return promotion_log.history(entries, repository=PLACE, tag=tag)


def test_a_line_survives_the_file(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "deep" / "log.jsonl")

    for number in (1, 2):
        log.append(entry(number, None, "a"))

    assert log.read() == [entry(1, None, "a"), entry(2, None, "a")]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_line_cut_off_by_a_kill_is_left_out_and_written_over(tmp_path: Path, cut: int) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    log.append(entry(1, None, "a"))
    with log.path.open("a") as stream:
        stream.write(entry(2, "a", "b").line()[:cut])
    assert log.read() == [entry(1, None, "a")]

    log.append(entry(3, "a", "c"))

    assert log.read() == [entry(1, None, "a"), entry(3, "a", "c")]


def test_anything_else_in_the_log_is_refused_with_its_line(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log.jsonl")
    log.path.write_text("hello\n" + entry(1, None, "a").line())

    with pytest.raises(InputRefused, match=r"log\.jsonl:1"):
        log.read()


def test_two_copies_make_one_log_in_the_order_of_time() -> None:
    one, two, three = (entry(number, None, "a") for number in (1, 2, 3))

    assert promotion_log.merge([three, one], [one, two]) == [one, two, three]


def test_what_was_begun_and_not_ended_is_open() -> None:
    begun = replace(entry(1, None, "a"), state="started")

    assert promotion_log.find_unfinished([begun]) == [begun]
    assert promotion_log.find_unfinished([begun, begun.as_done(time="later")]) == []


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([], []),
        ([(None, "a")], ["a"]),
        ([(None, "a"), ("a", "b")], ["a", "b"]),
        ([("x", "a")], ["x", "a"]),
        ([(None, "a"), ("a", "b"), ("b", "a", "back")], ["a"]),
        ([(None, "a"), ("a", "b"), ("b", "a"), ("a", "b", "back")], ["a", "b"]),
        ([(None, "a"), ("a", "b"), ("b", "c"), ("c", "b", "back"), ("b", "a", "back")], ["a"]),
        ([(None, "a"), ("a", "b"), ("b", "a", "back"), ("a", "c")], ["a", "c"]),
        ([(None, "a"), ("z", "b")], ["a", "z", "b"]),
    ],
    ids=str,
)
def test_a_tag_goes_back_the_way_it_came(moves: list[tuple[str, ...]], expected: list[str]) -> None:
    entries = [
        entry(number, move[0], move[1], action="rollback" if len(move) == 3 else "promote")
        for number, move in enumerate(moves)
    ]

    assert history(*entries) == expected


def test_other_tags_other_repositories_and_open_lines_do_not_count() -> None:
    other_tag = entry(1, None, "a", tag="mine")
    other_place = replace(entry(2, None, "a"), repository="elsewhere.test/vldock")
    still_open = replace(entry(3, None, "a"), state="started")

    assert history(other_tag, other_place, still_open) == []
