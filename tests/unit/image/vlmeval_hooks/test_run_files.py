"""Files of a run: atomic, of this run or set aside."""

from __future__ import annotations

import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vldock.image.vlmeval_hooks.files import atomic, workbooks
from vldock.image.vlmeval_hooks.provenance import run_identity, set_aside


def test_a_write_that_fails_leaves_the_old_file_and_nothing_aside(tmp_path: Path) -> None:
    target = tmp_path / "answers.pkl"
    target.write_text("old")

    def fail(_: Any, path: str) -> None:
        Path(path).write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        atomic.write(fail, {}, str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["answers.pkl"]
    assert target.read_text() == "old"


def test_the_file_aside_keeps_the_suffix_and_not_the_name(tmp_path: Path) -> None:
    seen: list[Path] = []

    atomic.write(
        lambda _, path: (seen.append(Path(path)), Path(path).write_text("x")), {}, str(tmp_path / "m_POPE.xlsx")
    )

    assert seen[0].suffix == ".xlsx"
    assert "POPE" not in seen[0].name


def test_only_old_leftovers_are_swept(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("new", 0)):
        path = tmp_path / f"{atomic.MARK}{name}.pkl"
        path.write_text("")
        os.utime(path, (time.time() - age,) * 2)

    atomic.remove_stale(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [f"{atomic.MARK}new.pkl"]


@pytest.mark.parametrize(("samples", "due"), [(12, [True, True, True]), (5000, [False, True, False])])
def test_small_sets_save_each_sample_and_large_ones_every_five_seconds(samples: int, due: list[bool]) -> None:
    clock = iter([0.0, 1.0, 6.0, 7.0])

    cadence = atomic.Cadence(samples, clock=lambda: next(clock))

    assert [cadence.due() for _ in range(3)] == due


def test_a_round_trip_leaves_nothing_in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smp = SimpleNamespace(
        dump=lambda table, path: Path(path).write_text(table), load=lambda path: Path(path).read_text()
    )
    monkeypatch.setitem(sys.modules, "vlmeval", SimpleNamespace(smp=smp))
    monkeypatch.setitem(sys.modules, "vlmeval.smp", smp)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert atomic.round_trip("rows", "xlsx") == "rows"
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_cell_are_not_those_of_a_longer_name(tmp_path: Path) -> None:
    mine = ["01_MMBench.pkl", "m_MMBench.xlsx", "m_MMBench_acc.csv"]
    for name in [*mine, "m_MMBench_CN.xlsx", "m_MMBench_CN_acc.csv", "01_MMBench_CN.pkl", "status.json"]:
        (tmp_path / name).write_text("")

    files = set_aside.files_of(tmp_path, "m", "MMBench", benchmarks=["MMBench", "MMBench_CN"])

    assert [path.name for path in files] == mine


def test_two_moves_in_one_second_do_not_mix(tmp_path: Path) -> None:
    now, folders = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), []
    for _ in range(2):
        (tmp_path / "m_POPE.xlsx").write_text("")
        folders.append(set_aside.move([tmp_path / "m_POPE.xlsx"], tmp_path, now=now).name)

    assert folders == ["20260102T030405Z", "20260102T030405Z-1"]


IDENTITY = {"limit": 4, "model": {"class": "LLaVA", "revision": None}, "data": {"md5": "a"}, "judge": "exact_matching"}


@pytest.mark.parametrize(
    ("change", "phrases"),
    [
        ({}, []),
        ({"limit": 12}, ["limit was 4, is 12"]),
        ({"data": {"md5": "b"}}, ['data.md5 was "a", is "b"']),
        ({"model": {"class": "LLaVA", "revision": "1234"}}, []),
        ({"model": {"class": "Other", "revision": None}}, ['model.class was "LLaVA", is "Other"']),
    ],
)
def test_differences_are_told_field_by_field(change: dict[str, Any], phrases: list[str]) -> None:
    assert run_identity.differences(IDENTITY, IDENTITY | change) == phrases


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """A counting reader of lines, with an empty cache."""
    monkeypatch.setattr(workbooks, "_kept", OrderedDict())

    def read(path: str) -> list[str]:
        read.count += 1
        return Path(path).read_text().split()

    read.count = 0
    return read


def test_a_table_is_read_once_and_each_reader_has_its_own(tmp_path: Path, reader: Any) -> None:
    path = tmp_path / "t.xlsx"
    path.write_text("a b")

    first = workbooks.read(reader, str(path))
    first.append("changed by its reader")

    assert workbooks.read(reader, str(path)) == ["a", "b"]
    assert reader.count == 1


@pytest.mark.parametrize("how", ["replaced", "written over"])
def test_a_table_that_changed_is_read_again(tmp_path: Path, reader: Any, how: str) -> None:
    path = tmp_path / "t.xlsx"
    path.write_text("a b")
    workbooks.read(reader, str(path))

    if how == "replaced":
        other = tmp_path / "other.xlsx"
        other.write_text("c d")
        other.replace(path)
    else:
        time.sleep(0.02)  # the clock of file times ticks every 4 ms
        path.write_text("c d")

    assert workbooks.read(reader, str(path)) == ["c", "d"]


def test_few_tables_are_kept(tmp_path: Path, reader: Any) -> None:
    for number in range(workbooks.KEPT + 1):
        (tmp_path / f"{number}.xlsx").write_text(str(number))
        workbooks.read(reader, str(tmp_path / f"{number}.xlsx"))

    workbooks.read(reader, str(tmp_path / "1.xlsx"))
    assert reader.count == workbooks.KEPT + 1
    workbooks.read(reader, str(tmp_path / "0.xlsx"))
    assert reader.count == workbooks.KEPT + 2
