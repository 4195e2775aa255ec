"""One model's containers: watched, started once more when they die, and never believed without a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.records import BENCHMARKS, FakeContainer, FakeLauncher, a_cell, a_plan, evaluates, good_container, says

from vldock.host.containers import Exit
from vldock.host.model_run import ModelRun
from vldock.host.run_folder import RunFolder

MODEL = "llava_v1.5_7b"


class Bench:
    """A ModelRun over fake containers, and everything it said."""

    def __init__(self, out: Path, make: Callable[[str, Sequence[str]], FakeContainer], **plan: Any) -> None:
        self.out = out
        self.events: list[dict[str, Any]] = []
        self.launcher = FakeLauncher(make)
        clock: Iterator[float] = iter(range(0, 10_000_000, 10))
        self.run = ModelRun(
            MODEL,
            a_plan(**plan),
            RunFolder(out),
            self.launcher,
            self.events.append,
            clock=lambda: float(next(clock)),
        )

    def result(self, benchmarks: Sequence[str] = BENCHMARKS) -> dict[str, str]:
        """Run, and return {benchmark: 'succeeded' or the error}."""
        return {name: cell.error or cell.status for name, cell in self.run.run(benchmarks).items()}


def dies_at(out: Path, benchmarks: Sequence[str], poison: str, end: Exit) -> FakeContainer:
    """Return a container that dies when it comes to `poison`."""
    script: list[Any] = []
    for name in benchmarks:
        if name == poison:
            return FakeContainer([*script, says("cell_start", model=MODEL, benchmark=name)], end, ["last words"])
        script += evaluates(out, a_cell(MODEL, name))
    return FakeContainer(script)


def test_one_container_evaluates_all_benchmarks(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda model, names: good_container(tmp_path, model, names))

    assert set(bench.result().values()) == {"succeeded"}
    assert bench.launcher.asked == [(MODEL, BENCHMARKS)]


def test_a_cell_whose_container_dies_twice_fails_and_the_others_go_on(tmp_path: Path) -> None:
    oom = Exit(137, oom=True)
    bench = Bench(tmp_path, lambda model, names: dies_at(tmp_path, names, "MMStar", oom))

    result = bench.result()

    assert (result["POPE"], result["OCRBench"]) == ("succeeded", "succeeded")
    assert result["MMStar"].startswith("the container ended early: out of memory (exit 137) during MMStar")
    assert "last words" in result["MMStar"]
    assert [names for _, names in bench.launcher.asked] == [BENCHMARKS, BENCHMARKS[1:], BENCHMARKS[2:]]
    assert [event["event"] for event in bench.events].count("retry") == 1


def test_a_container_that_dies_once_is_started_once_more_for_the_rest(tmp_path: Path) -> None:
    containers = iter(["MMStar", "nothing"])
    bench = Bench(tmp_path, lambda model, names: dies_at(tmp_path, names, next(containers), Exit(139)))

    assert set(bench.result().values()) == {"succeeded"}
    assert [names for _, names in bench.launcher.asked] == [BENCHMARKS, BENCHMARKS[1:]]


def test_a_model_that_cannot_be_loaded_twice_fails_every_cell(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda model, names: FakeContainer([], Exit(1), ["error: CUDA error: no kernel image"]))

    result = bench.result()

    assert len(bench.launcher.asked) == 2
    assert {error.partition(";")[0] for error in result.values()} == {
        "the container ended early: exit 1 before a cell began"
    }
    assert all("no kernel image" in error for error in result.values())


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_refusal_is_not_asked_for_again(tmp_path: Path, code: int) -> None:
    bench = Bench(tmp_path, lambda model, names: FakeContainer([], Exit(code), ["error: no such thing"]))

    assert set(bench.result().values()) == {"refused by the container: no such thing"}
    assert len(bench.launcher.asked) == 1


def test_a_refusal_brings_its_hint_along(tmp_path: Path) -> None:
    said = ["vldock: a note. hint: not this one", "error: no such thing", "expected: a thing", "hint: make one"]
    bench = Bench(tmp_path, lambda model, names: FakeContainer([], Exit(3), said))

    assert bench.result(["POPE"]) == {"POPE": "refused by the container: no such thing; make one"}


def test_a_cell_that_falls_silent_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    def make(model: str, names: Sequence[str]) -> FakeContainer:
        if "POPE" in names:
            return FakeContainer([says("cell_start", model=model, benchmark="POPE"), *[None] * 20])
        return good_container(tmp_path, model, names)

    result = Bench(tmp_path, make, timeout=100.0).result()

    assert result["POPE"].startswith("no sign of life for")
    assert (result["MMStar"], result["OCRBench"]) == ("succeeded", "succeeded")


def test_a_success_without_a_record_is_a_failure(tmp_path: Path) -> None:
    claims = says("cell_end", model=MODEL, benchmark="POPE", status="succeeded", score=99.0)
    bench = Bench(tmp_path, lambda model, names: FakeContainer([claims]))

    assert "left no POPE/cell.json" in bench.result(["POPE"])["POPE"]
    assert bench.events[-1]["status"] == "failed"


def test_a_success_one_prediction_short_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lambda model, names: good_container(tmp_path, model, names, predictions=9))

    assert bench.result(["POPE"]) == {"POPE": "9 of 10 samples have a prediction"}


def test_a_given_up_cell_leaves_a_record_of_its_own(tmp_path: Path) -> None:
    Bench(tmp_path, lambda model, names: FakeContainer([], Exit(137))).result(["POPE"])

    assert (tmp_path / MODEL / "POPE" / "cell.json").is_file()


def test_without_last_words_the_models_log_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{MODEL}.log").write_text("fine\n 10%|#\r 20%|##\nSegmentation fault\n")

    result = Bench(tmp_path, lambda model, names: FakeContainer([], Exit(139))).result(["POPE"])

    assert result["POPE"].endswith("last lines: fine | 20%|## | Segmentation fault")
