"""A run's folder: found again, locked by one process, its finished cells read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.builders import TIME, a_cell, a_plan

from vldock.common.errors import EnvironmentUnfit, InputRefused
from vldock.host.runs import folder as run_folder
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.record import RunRecord, WorkPeriod

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_run_is_named_by_its_time_and_two_of_one_second_differ(tmp_path: Path) -> None:
    first, _ = run_folder.create(tmp_path, a_plan(), now=NOW)
    second, _ = run_folder.create(tmp_path, a_plan(), now=NOW)

    assert (first.name, second.name) == ("20260102-030405", "20260102-030405-2")
    assert (first.path / "logs").is_dir()


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    folder, record = run_folder.create(tmp_path, a_plan(), now=NOW)

    assert folder.load() == record


def test_the_latest_run_is_found_while_it_is_unfinished(tmp_path: Path) -> None:
    run_folder.create(tmp_path, a_plan(), now=NOW)
    newer, record = run_folder.create(tmp_path, a_plan(), now=NOW.replace(hour=9))

    found = run_folder.latest_unfinished(tmp_path)
    newer.save(replace(record, state="finished"))

    assert found is not None
    assert found[0] == newer
    assert run_folder.latest_unfinished(tmp_path) is None


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no folder of a run"):
        RunFolder(tmp_path).load()


def test_only_this_plans_successes_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for cell in (
        a_cell(),
        a_cell(benchmark="MMStar", status="failed", error="x"),
        a_cell(benchmark="OCRBench", limit=3),
    ):
        cell.save(folder.cell(cell.model, cell.benchmark))
    (folder.cell("llava_v1.5_13b", "POPE")).mkdir(parents=True)
    (folder.cell("llava_v1.5_13b", "POPE") / "cell.json").write_text("{torn")

    assert list(folder.finished_cells(a_plan())) == [("llava_v1.5_7b", "POPE")]


def test_a_cell_whose_data_was_touched_since_is_asked_for_again(tmp_path: Path) -> None:
    folder, plan = RunFolder(tmp_path), a_plan(data=str(tmp_path))
    a_cell().save(folder.cell("llava_v1.5_7b", "POPE"))
    assert len(folder.finished_cells(plan)) == 1

    (tmp_path / "POPE.tsv").touch()

    assert folder.finished_cells(plan) == {}


def test_two_hosts_cannot_work_on_one_run(tmp_path: Path) -> None:
    folder, _ = run_folder.create(tmp_path, a_plan(), now=NOW)
    other = (
        "import sys, pathlib; from vldock.host.runs.folder import RunFolder, lock_run\n"
        "with lock_run(RunFolder(pathlib.Path(sys.argv[1]))): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentUnfit, match=f"process {child.pid}"), run_folder.lock_run(folder):
            pass
        child.kill()

    with run_folder.lock_run(folder):
        pass


def test_the_time_of_all_sessions_counts() -> None:
    later = WorkPeriod("2026-01-03T00:00:00+00:00", "2026-01-03T00:00:30+00:00")

    record = RunRecord("id", TIME, a_plan(), sessions=(WorkPeriod(TIME, TIME), later))

    assert record.seconds == 30
    assert record.with_time(datetime(2026, 1, 3, 0, 1, tzinfo=UTC)).seconds == 60
