"""Cells on devices: given one by one, tried again where a container dies, and never believed without a record."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
    container_script,
    dying_container,
    event_line,
    good_container,
)

from vldock.common.errors import EnvironmentUnfit
from vldock.host.containers.lifecycle import Exit
from vldock.host.matrix import estimates
from vldock.host.matrix.dispatcher import Dispatcher
from vldock.host.matrix.estimates import Estimates
from vldock.host.matrix.executor import DeviceJob
from vldock.host.runs.cell_records import CellRecords
from vldock.host.runs.devices import Device
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.plan import RunPlan
from vldock.host.runs.record import JobRecord

MODEL = MODELS[0]
ONE = (Device("cpu0"),)
TWO = (Device("cpu0"), Device("cpu1"))


class Bench:
    """A dispatcher over fake containers, and everything it said."""

    def __init__(
        self, out: Path, make: Callable[[DeviceJob], FakeContainer], *, places: Sequence[Device] = ONE, **plan: Any
    ) -> None:
        self.out = out
        self.events: list[dict[str, Any]] = []
        self.stints: list[JobRecord] = []
        self.executor = FakeExecutor(make)
        self.plan: RunPlan = a_plan(**{"models": (MODEL,), **plan})
        clock = itertools.count(0, 10)
        self.work = Dispatcher(
            CellRecords(self.plan, RunFolder(out)),
            places,
            self.executor,
            self.costs(),
            self.events.append,
            self.stints.append,
            clock=lambda: float(next(clock)),
        )

    def costs(self) -> Estimates:
        """Return equal cells that are long beside a load."""
        return Estimates(dict.fromkeys(self.plan.cells, 1000.0), dict.fromkeys(self.plan.models, 1.0))

    def result(self) -> dict[str, str]:
        """Run, and return {benchmark: 'succeeded' or the error} of the first model's cells."""
        cells = self.work.run(self.plan.cells)
        return {key[1]: cell.error or cell.status for key, cell in cells.items() if key[0] == MODEL}

    def said(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [item for item in self.events if item["event"] == kind]


def silence(until: Callable[[], bool]) -> Iterator[None]:
    """Say nothing until something is so."""
    while not until():
        time.sleep(0.001)
        yield None


def ended(job: DeviceJob, end: Exit, *stderr: str, says_first: Sequence[str | None] = ()) -> FakeContainer:
    """Return a container that ends before it does anything."""
    return FakeContainer(lambda job, names: iter(says_first), job, end, stderr)


def test_one_container_evaluates_all_benchmarks_in_the_plans_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda job: good_container(tmp_path, job))

    assert set(bench.result().values()) == {"succeeded"}
    assert bench.executor.jobs == [(MODEL, BENCHMARKS)]
    assert not any("on" in item for item in bench.events)


def test_a_cell_whose_container_dies_twice_fails_and_the_others_go_on(tmp_path: Path) -> None:
    oom = Exit(137, oom=True)
    bench = Bench(tmp_path, lambda job: dying_container(tmp_path, job, "MMStar", oom, stderr=["last words"]))

    result = bench.result()

    assert (result["POPE"], result["OCRBench"]) == ("succeeded", "succeeded")
    assert result["MMStar"].startswith("the container ended early: out of memory (exit 137) during MMStar")
    assert "last words" in result["MMStar"]
    assert [names for _, names in bench.executor.jobs] == [("POPE", "MMStar"), ("MMStar",), ("OCRBench",)]
    assert len(bench.said("retry")) == 1


def test_a_container_that_dies_once_is_started_once_more_for_the_rest(tmp_path: Path) -> None:
    poisons = iter(["MMStar", "nothing"])
    bench = Bench(tmp_path, lambda job: dying_container(tmp_path, job, next(poisons), Exit(139)))

    assert set(bench.result().values()) == {"succeeded"}
    assert [names for _, names in bench.executor.jobs] == [("POPE", "MMStar"), ("MMStar", "OCRBench")]


def test_a_container_that_dies_at_its_load_twice_fails_every_cell(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda job: ended(job, Exit(1), "error: CUDA error: no kernel image"))

    result = bench.result()

    assert len(bench.executor.started) == 2
    assert {error.partition(";")[0] for error in result.values()} == {
        "the container ended early: exit 1 before a cell began"
    }
    assert all("no kernel image" in error for error in result.values())


def test_a_model_that_says_why_it_cannot_be_loaded_is_tried_once_on_the_only_device(tmp_path: Path) -> None:
    why = f"{MODEL} could not be loaded: no room"
    bench = Bench(tmp_path, lambda job: ended(job, Exit(1), says_first=[event_line("model_failed", error=why)]))

    assert set(bench.result().values()) == {why}
    assert len(bench.executor.started) == 1


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_refusal_is_not_asked_for_again(tmp_path: Path, code: int) -> None:
    bench = Bench(tmp_path, lambda job: ended(job, Exit(code), "error: no such thing"))

    assert set(bench.result().values()) == {"refused by the container: no such thing"}
    assert len(bench.executor.started) == 1


def test_a_refusal_brings_its_hint_along(tmp_path: Path) -> None:
    said = ["vldock: a note. hint: not this one", "error: no such thing", "expected: a thing", "hint: make one"]
    bench = Bench(tmp_path, lambda job: ended(job, Exit(3), *said))

    assert set(bench.result().values()) == {"refused by the container: no such thing; make one"}


def test_a_cell_that_falls_silent_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        for name in names:
            if name == "POPE":
                yield event_line("cell_start", model=job.model, benchmark=name)
                yield from silence(lambda: False)
            yield from cell_script(tmp_path, a_cell(job.model, name))

    result = Bench(tmp_path, lambda job: FakeContainer(script, job), timeout=100.0).result()

    assert result["POPE"].startswith("no sign of life for")
    assert (result["MMStar"], result["OCRBench"]) == ("succeeded", "succeeded")


def test_a_success_without_a_record_is_a_failure(tmp_path: Path) -> None:
    def script(job: DeviceJob, names: Iterator[str]) -> Script:
        return (
            event_line("cell_end", model=job.model, benchmark=name, status="succeeded", score=99.0) for name in names
        )

    bench = Bench(tmp_path, lambda job: FakeContainer(script, job), benchmarks=("POPE",))

    assert "left no POPE/cell.json" in bench.result()["POPE"]
    assert bench.events[-1]["status"] == "failed"


def test_a_success_one_prediction_short_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda job: good_container(tmp_path, job, predictions=9), benchmarks=("POPE",))

    assert bench.result() == {"POPE": "9 of 10 samples have a prediction"}


def test_a_given_up_cell_leaves_a_record_of_its_own(tmp_path: Path) -> None:
    Bench(tmp_path, lambda job: ended(job, Exit(137)), benchmarks=("POPE",)).result()

    assert (tmp_path / MODEL / "POPE" / "cell.json").is_file()


def test_without_last_words_the_models_log_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{MODEL}.log").write_text("fine\n 10%|#\r 20%|##\nSegmentation fault\n")

    result = Bench(tmp_path, lambda job: ended(job, Exit(139)), benchmarks=("POPE",)).result()

    assert result["POPE"].endswith("last lines: fine | 20%|## | Segmentation fault")


def test_two_devices_share_the_cells_and_none_runs_twice(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda job: good_container(tmp_path, job), places=TWO, models=MODELS)

    bench.work.run(bench.plan.cells)

    given = [(one.job.model, name) for one in bench.executor.started for name in one.benchmarks]
    assert Counter(given) == Counter(bench.plan.cells)
    assert {one.job.device.name for one in bench.executor.started} == {"cpu0", "cpu1"}
    assert {item["on"] for item in bench.said("cell_end")} == {"cpu0", "cpu1"}


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
    cells = bench.work.run(bench.plan.cells)

    assert {cell.status for cell in cells.values()} == {"succeeded"}
    assert set(cells) == set(bench.plan.cells)
    assert [item["on"] for item in bench.said("device_left_out")] == ["cpu1"]
    assert "CUDA error: device lost" in bench.said("device_left_out")[0]["reason"]
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
    assert bench.said("device_left_out") == []


def test_a_device_on_which_no_container_starts_is_left_out(tmp_path: Path) -> None:
    def make(job: DeviceJob) -> FakeContainer:
        if job.device.name == "cpu0":
            raise EnvironmentUnfit("unknown device GPU-0")
        return good_container(tmp_path, job)

    bench = Bench(tmp_path, make, places=TWO)

    assert set(bench.result().values()) == {"succeeded"}
    assert bench.said("device_left_out") == [
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


def test_a_stint_tells_where_what_and_how_it_ended(tmp_path: Path) -> None:
    poisons = iter(["MMStar", "nothing"])
    bench = Bench(tmp_path, lambda job: dying_container(tmp_path, job, next(poisons), Exit(139)))

    bench.result()

    assert [(one.device, one.cells, one.load_seconds) for one in bench.stints] == [
        ("cpu0", ("POPE",), 0.5),
        ("cpu0", ("MMStar", "OCRBench"), 0.5),
    ]
    assert [one.end.partition(":")[0] for one in bench.stints] == ["the container ended early", "done"]


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
    bench.work = replace(bench.work, share=True)

    bench.result()

    (one,) = bench.executor.started
    assert (one.job.device.name, one.job.device.ranks) == ("cpu0+cpu1", 2)
    assert (bench.stints[0].device, bench.stints[0].ranks) == ("cpu0+cpu1", 2)


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
