"""A matrix run over fake containers: complete, interrupted, resumed."""

from __future__ import annotations

import csv
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.builders import (
    BENCHMARKS,
    MODELS,
    FakeContainer,
    FakeExecutor,
    Script,
    a_cell,
    a_plan,
    cell_script,
    good_container,
)

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Exit
from vldock.host.matrix.executor import DeviceJob, Executor
from vldock.host.matrix.runner import RunOutcome, execute
from vldock.host.runs import folder as run_folder
from vldock.host.runs.devices import Device
from vldock.host.runs.folder import RunFolder

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ONE = (Device("cpu0"),)
TWO = (Device("cpu0", threads=1), Device("cpu1", threads=1))


class Clock:
    """A clock that advances by a second at every reading."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        self.time += timedelta(seconds=1)
        return self.time


def work(
    folder: RunFolder, executor: Executor, places: tuple[Device, ...] = ONE, *, facts: Callable[[], Any] = dict
) -> RunOutcome:
    record = folder.load()
    return execute(folder, record, executor=executor, places=places, show=lambda item: None, facts=facts, now=Clock())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run of two models and three benchmarks."""
    return run_folder.create(tmp_path, a_plan(), now=NOW)[0]


@pytest.fixture
def good(folder: RunFolder) -> FakeExecutor:
    """An executor whose containers succeed."""
    return FakeExecutor(lambda job: good_container(folder.path, job))


def test_what_the_image_tells_of_itself_is_in_the_record(folder: RunFolder, good: FakeExecutor) -> None:
    work(folder, good, facts=lambda: {"torch": "2.1.2"})

    assert folder.load().facts == {"torch": "2.1.2"}


def test_an_image_that_tells_nothing_costs_no_cell(folder: RunFolder, good: FakeExecutor) -> None:
    def none() -> Any:
        raise OSError("the engine is busy")

    outcome = work(folder, good, facts=none)

    assert (outcome.succeeded, folder.load().state, folder.load().facts) == (6, "finished", {})


def test_a_run_leaves_every_promised_file(folder: RunFolder, good: FakeExecutor) -> None:
    outcome = work(folder, good)

    assert (outcome.succeeded, outcome.total, outcome.record.state) == (6, 6, "finished")
    for model in MODELS:
        assert folder.results(model, "csv").is_file()
        assert folder.results(model, "xlsx").is_file()
        assert (folder.cell(model, "POPE") / "cell.json").is_file()
    assert folder.report.is_file()
    assert folder.summary.is_file()


def test_each_model_has_one_container(folder: RunFolder, good: FakeExecutor) -> None:
    work(folder, good)

    assert good.jobs == [(model, BENCHMARKS) for model in MODELS]


def test_the_summary_log_has_a_timed_line_per_event_and_none_per_sample(folder: RunFolder, good: FakeExecutor) -> None:
    work(folder, good)

    lines = folder.summary.read_text().splitlines()
    assert all(datetime.fromisoformat(line.split(" ", 1)[0]) for line in lines)
    assert sum(" cell_end " in line for line in lines) == 6
    assert not any("progress" in line for line in lines)
    assert all("STAND-IN" in line for line in lines if " cell_end " in line)


def test_one_failed_cell_makes_the_run_no_success(folder: RunFolder) -> None:
    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        bad = {"status": "failed", "score": None, "error": "evaluator broke"}
        for name in names:
            yield from cell_script(folder.path, a_cell(job.model, name, **(bad if name == "MMStar" else {})))

    outcome = work(folder, FakeExecutor(lambda job: FakeContainer(script, job, Exit(1))))

    assert outcome.succeeded == 4
    assert "evaluator broke" in folder.report.read_text()


def test_a_stopped_run_keeps_what_is_done_and_goes_on_from_there(folder: RunFolder, good: FakeExecutor) -> None:
    def stopped(job: DeviceJob, names: Iterator[str]) -> Script:
        yield from cell_script(folder.path, a_cell(job.model, next(names)))
        next(names)
        yield lambda: os.kill(os.getpid(), signal.SIGTERM)
        yield from iter(lambda: time.sleep(0.01), 0)

    with pytest.raises(KeyboardInterrupt):
        work(folder, FakeExecutor(lambda job: FakeContainer(stopped, job)))
    assert folder.load().state == "interrupted"
    assert "INTERRUPTED" in folder.report.read_text()

    outcome = work(folder, good)

    assert (outcome.succeeded, len(outcome.record.sessions)) == (6, 2)
    assert good.jobs == [(MODELS[0], BENCHMARKS[1:]), (MODELS[1], BENCHMARKS)]


def test_with_no_device_left_the_run_is_interrupted_and_goes_on_later(folder: RunFolder, good: FakeExecutor) -> None:
    def gone(job: DeviceJob) -> FakeContainer:
        raise EnvironmentUnfit("no such device")

    with pytest.raises(EnvironmentUnfit):
        work(folder, FakeExecutor(gone), TWO)
    assert folder.load().state == "interrupted"

    assert work(folder, good, TWO).succeeded == 6


def test_the_report_tells_what_each_device_did(folder: RunFolder, good: FakeExecutor) -> None:
    outcome = work(folder, good, TWO)

    report = folder.report.read_text()
    assert "| cpu0 |" in report
    assert "| cpu1 |" in report
    assert set(outcome.record.cell_devices) == set(outcome.record.plan.cells)
    assert folder.load() == outcome.record


def test_a_finished_run_that_is_resumed_starts_no_container(folder: RunFolder, good: FakeExecutor) -> None:
    work(folder, good)
    good.started.clear()

    outcome = work(folder, good)

    assert (outcome.succeeded, good.jobs) == (6, [])


def test_the_table_marks_a_stand_in_in_every_row(folder: RunFolder, good: FakeExecutor) -> None:
    work(folder, good)

    with folder.results(MODELS[0], "csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["benchmark"] for row in rows] == list(BENCHMARKS)
    assert {row["standin"] for row in rows} == {"STAND-IN"}
