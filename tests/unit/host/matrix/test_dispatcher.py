"""Cells given one by one, retried where a container dies, and never believed without a record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.builders import (
    BENCHMARKS,
    FakeContainer,
    Script,
    a_cell,
    cell_script,
    dying_container,
    event_line,
    good_container,
)
from support.dispatcher_fixture import MODEL, Bench, ended, silence

from vldock.host.containers.lifecycle import Exit
from vldock.host.matrix.executor import DeviceJob


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
    assert len(bench.events_of("retry")) == 1


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
