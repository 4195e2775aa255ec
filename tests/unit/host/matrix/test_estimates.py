"""Durations of an earlier run are the estimates of the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.builders import (
    a_cell,
    a_plan,
)
from support.dispatcher_fixture import MODEL

from vldock.host.matrix import estimates
from vldock.host.runs.record import JobRecord


def test_durations_of_an_earlier_run_are_what_the_next_expects(tmp_path: Path) -> None:
    from vldock.host.matrix.runner import utc_now
    from vldock.host.runs import folder as run_folder

    plan = a_plan()
    folder, record = run_folder.create(tmp_path, plan, now=utc_now())
    a_cell(MODEL, "POPE", seconds=20.0, samples=10, predictions=10).save(folder.cell(MODEL, "POPE"))
    stint = JobRecord("cpu0", MODEL, "2026-01-02T03:04:05+00:00", 30.0, ("POPE",), load_seconds=7.0)
    folder.save(replace(record, stints=(stint,)))

    found = estimates.estimate(tmp_path, replace(plan, samples=5))

    assert found.cells[MODEL, "POPE"] == 10.0
    assert found.loads[MODEL] == 7.0
    assert found.recorded == {(MODEL, "POPE")}
