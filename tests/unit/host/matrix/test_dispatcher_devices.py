"""Cells shared by several devices, and devices left out."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.builders import (
    BENCHMARKS,
    MODELS,
    FakeContainer,
    Script,
    a_cell,
    cell_script,
    container_script,
    dying_container,
    event_line,
    good_container,
)
from support.dispatcher_fixture import MODEL, TWO, Bench, silence

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Exit
from vldock.host.matrix.executor import DeviceJob


def test_two_devices_share_the_cells_and_none_runs_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda job: good_container(tmp_path, job), places=TWO, models=MODELS)

    bench.dispatcher.run(bench.plan.cells)

    given = [(one.job.model, name) for one in bench.executor.started for name in one.benchmarks]
    assert Counter(given) == Counter(bench.plan.cells)
    assert {one.job.device.name for one in bench.executor.started} == {"cpu0", "cpu1"}
    assert {item["on"] for item in bench.events_of("cell_end")} == {"cpu0", "cpu1"}


def test_a_slow_cell_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """The container with the slow cell goes on only when every other cell has a record."""
    benchmarks = ("POPE", "MMStar", "OCRBench", "BLINK")
    others = [tmp_path / MODEL / name / "cell.json" for name in benchmarks[1:]]

    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        for name in names:
            if name == "POPE":
                yield from silence(lambda: all(path.exists() for path in others))
            yield from cell_script(tmp_path, a_cell(job.model, name))

    bench = Bench(tmp_path, lambda job: FakeContainer(script, job), places=TWO, benchmarks=benchmarks, timeout=None)

    assert set(bench.result().values()) == {"succeeded"}
    assert sorted(bench.executor.jobs, key=lambda one: len(one[1])) == [(MODEL, ("POPE",)), (MODEL, benchmarks[1:])]


def test_a_device_on_which_everything_dies_is_left_out_and_its_cells_go_on_elsewhere(tmp_path: Path) -> None:
    def make(job: DeviceJob) -> FakeContainer:
        lost = event_line("device_lost", error="CUDA error: device lost")
        script = lambda job, names: iter([event_line("cell_start", benchmark=next(names)), lost])  # noqa: E731
        return FakeContainer(script, job, Exit(3)) if job.device.name == "cpu1" else good_container(tmp_path, job)

    bench = Bench(tmp_path, make, places=TWO, models=MODELS)
    cells = bench.dispatcher.run(bench.plan.cells)

    assert {cell.status for cell in cells.values()} == {"succeeded"}
    assert set(cells) == set(bench.plan.cells)
    assert [item["on"] for item in bench.events_of("device_left_out")] == ["cpu1"]
    assert "CUDA error: device lost" in bench.events_of("device_left_out")[0]["reason"]
    assert sum(one.job.device.name == "cpu1" for one in bench.executor.started) == 2


def test_a_cell_that_dies_on_two_devices_is_to_blame_and_both_devices_stay(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        lambda job: dying_container(tmp_path, job, "POPE", Exit(137)),
        places=TWO,
        benchmarks=(*BENCHMARKS, "BLINK"),
    )

    result = bench.result()

    assert result.pop("POPE").startswith("the container ended early")
    assert set(result.values()) == {"succeeded"}
    tried = [one.job.device.name for one in bench.executor.started if "POPE" in one.benchmarks]
    assert sorted(tried) == ["cpu0", "cpu1"]
    assert bench.events_of("device_left_out") == []


def test_a_device_on_which_no_container_starts_is_left_out(tmp_path: Path) -> None:
    def make(job: DeviceJob) -> FakeContainer:
        if job.device.name == "cpu0":
            raise EnvironmentUnfit("unknown device GPU-0")
        return good_container(tmp_path, job)

    bench = Bench(tmp_path, make, places=TWO)

    assert set(bench.result().values()) == {"succeeded"}
    assert bench.events_of("device_left_out") == [
        {"event": "device_left_out", "on": "cpu0", "reason": "unknown device GPU-0"}
    ]


def test_where_nothing_works_any_more_the_rest_waits_for_another_run(tmp_path: Path) -> None:
    benchmarks = (*BENCHMARKS, "BLINK", "VizWiz")
    script = lambda job, names: iter([event_line("cell_start", benchmark=next(names))])  # noqa: E731
    bench = Bench(tmp_path, lambda job: FakeContainer(script, job, Exit(137)), benchmarks=benchmarks)

    with pytest.raises(EnvironmentUnfit, match="2 cells wait"):
        bench.result()

    assert sorted(path.parent.name for path in tmp_path.rglob("cell.json")) == sorted(BENCHMARKS)


def test_an_engine_that_goes_away_ends_the_run(tmp_path: Path) -> None:
    def gone(job: DeviceJob, names: Iterator[str]) -> Script:
        yield from container_script(tmp_path, job, itertools.islice(names, 1))
        raise EnvironmentUnfit("container x was lost")

    bench = Bench(tmp_path, lambda job: FakeContainer(gone, job), places=TWO)

    with pytest.raises(EnvironmentUnfit, match="was lost"):
        bench.result()


def test_a_job_record_tells_where_what_and_how_it_ended(tmp_path: Path) -> None:
    poisons = iter(["MMStar", "nothing"])
    bench = Bench(tmp_path, lambda job: dying_container(tmp_path, job, next(poisons), Exit(139)))

    bench.result()

    assert [(one.device, one.cells, one.load_seconds) for one in bench.jobs] == [
        ("cpu0", ("POPE",), 0.5),
        ("cpu0", ("MMStar", "OCRBench"), 0.5),
    ]
    assert [one.end.partition(":")[0] for one in bench.jobs] == ["the container ended early", "done"]


def test_several_logs_of_one_model_end_in_one(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()

    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        for name in names:
            with (tmp_path / "logs" / str(job.log)).open("a") as stream:
                stream.write(f"{name} here\n")
            yield from cell_script(tmp_path, a_cell(job.model, name))

    Bench(tmp_path, lambda job: FakeContainer(script, job), places=TWO).result()

    (log,) = (tmp_path / "logs").iterdir()
    text = log.read_text()
    assert log.name == f"{MODEL}.log"
    assert all(f"{name} here" in text for name in BENCHMARKS)
    assert "----- on cpu0 -----" in text


def test_a_long_cell_is_shared_by_the_devices_that_have_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda job: good_container(tmp_path, job), places=TWO, benchmarks=("POPE",))
    bench.dispatcher = replace(bench.dispatcher, share=True)

    bench.result()

    (one,) = bench.executor.started
    assert (one.job.device.name, one.job.device.ranks) == ("cpu0+cpu1", 2)
    assert (bench.jobs[0].device, bench.jobs[0].ranks) == ("cpu0+cpu1", 2)
