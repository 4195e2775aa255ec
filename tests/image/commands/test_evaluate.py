"""`python -m vldock.image evaluate`, end to end, with a fake model."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from vldock.common.cell_record import Cell

MODEL = "llava_v1.5_7b"
SCRIPT = Path(__file__).parents[1] / "fake_model.py"
ROWS = 6
ANSWERED = 3  # when the run is stopped


@dataclass(frozen=True)
class Bench:
    """Data folder with two benchmarks, results folder, and the environment for them."""

    out: Path
    environ: dict[str, str]

    def command(self, *benchmarks: str) -> list[str]:
        """Return the command that evaluates `benchmarks`."""
        arguments = ["--model", MODEL, "--data", *benchmarks, "--out", str(self.out), "--json"]
        return [sys.executable, str(SCRIPT), "evaluate", *arguments]

    def run(self, *benchmarks: str, **environ: str) -> tuple[int, list[dict[str, Any]]]:
        """Return exit status and events."""
        environment = {**self.environ, **environ}
        done = subprocess.run(self.command(*benchmarks), env=environment, capture_output=True, text=True)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def cell(self, benchmark: str) -> Cell | None:
        """Return the record of a cell."""
        return Cell.load(self.out / MODEL / benchmark)


def _tables(folder: Path) -> str:
    """Write OCRBench and POPE with ROWS rows each; return VLDOCK_ACCEPT_MD5 for them."""
    Image.new("RGB", (32, 32), "red").save(picture := io.BytesIO(), "PNG")
    rows = {"index": range(ROWS), "image": [base64.b64encode(picture.getvalue()).decode()] * ROWS, "question": "What?"}
    ocr = pd.DataFrame(rows | {"answer": ["['A']", "['B']"] * (ROWS // 2), "category": "Regular Text Recognition"})
    pope = pd.DataFrame(rows | {"answer": ["Yes", "No"] * (ROWS // 2), "category": "random"})
    accepted = []
    for name, table in {"OCRBench": ocr, "POPE": pope}.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False)
        accepted.append(f"{name}={hashlib.md5((folder / f'{name}.tsv').read_bytes()).hexdigest()}")
    return ",".join(accepted)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "data").mkdir()
    settings = {"LMUData": str(folder / "data"), "VLDOCK_ACCEPT_MD5": _tables(folder / "data"), "VLDOCK_DEVICE": "cpu"}
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("VLDOCK_STANDIN", "VLMEVAL_SAMPLE_LIMIT")
    }
    return Bench(folder / "out", {**inherited, **settings})


@pytest.fixture(scope="module")
def first(bench: Bench) -> tuple[int, list[dict[str, Any]]]:
    """A run in which one benchmark works, one gets no answers and one has no data."""
    return bench.run("OCRBench", "POPE", "MMStar", FAKE_BROKEN="POPE")


@pytest.fixture(scope="module")
def stopped(bench: Bench, first: object) -> int:
    """Exit status of the same two benchmarks again, stopped by SIGTERM at the next question."""
    held = bench.out.with_name("held")
    environment = {**bench.environ, "FAKE_HOLDS": f"{ANSWERED} {held}"}
    command = bench.command("OCRBench", "POPE")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while not held.exists() and run.poll() is None:
            time.sleep(0.02)
        run.send_signal(signal.SIGTERM)
        return run.wait()


@pytest.fixture(scope="module")
def resumed(bench: Bench, stopped: int) -> tuple[int, list[dict[str, Any]]]:
    """The same command once more."""
    return bench.run("OCRBench", "POPE")


def named(events: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {event.get("benchmark", ""): event for event in events if event["event"] == kind}


def test_events_come_in_order_and_nothing_else_is_on_standard_output(first: tuple[int, list[dict[str, Any]]]) -> None:
    kinds = [event["event"] for event in first[1] if event["event"] != "progress"]

    assert kinds == ["start", "model_loaded", *["cell_start", "cell_end"] * 3, "end"]


def test_a_cell_that_works_has_a_score_of_0_to_100(bench: Bench, first: object) -> None:
    cell = bench.cell("OCRBench")

    assert cell is not None
    assert (cell.status, cell.score, cell.metric, cell.samples, cell.predictions) == (
        "succeeded",
        50.0,
        "Final Score",
        ROWS,
        ROWS,
    )
    assert (cell.device, cell.dtype, cell.attempt, cell.standin) == ("cpu", "float32", 1, False)


def test_the_event_of_a_cell_is_its_record(bench: Bench, first: tuple[int, list[dict[str, Any]]]) -> None:
    event = named(first[1], "cell_end")["OCRBench"]

    assert {**event, "event": None, "kept": None} == {
        **json.loads((bench.out / MODEL / "OCRBench/cell.json").read_text()),
        "event": None,
        "kept": None,
    }


@pytest.mark.parametrize(("benchmark", "cause"), [("POPE", "of 6"), ("MMStar", "MMStar.tsv does not exist")])
def test_a_cell_that_does_not_work_fails_with_one_line(
    first: tuple[int, list[dict[str, Any]]], benchmark: str, cause: str
) -> None:
    event = named(first[1], "cell_end")[benchmark]

    assert (event["status"], event["score"]) == ("failed", None)
    assert cause in event["error"]
    assert "\n" not in event["error"]


def test_one_failed_cell_makes_the_run_end_with_1(first: tuple[int, list[dict[str, Any]]]) -> None:
    status, events = first

    assert status == 1
    assert {name: events[-1][name] for name in ("succeeded", "failed", "kept")} == {
        "succeeded": 1,
        "failed": 2,
        "kept": 0,
    }


def test_the_model_is_loaded_once_for_all_benchmarks(bench: Bench, first: object) -> None:
    log = (bench.out / "logs" / f"{MODEL}.log").read_text(encoding="utf-8")

    assert log.split("===== ")[0].count("loading the fake model") == 1


def test_progress_counts_to_the_last_sample(first: tuple[int, list[dict[str, Any]]]) -> None:
    last = named(first[1], "progress")["OCRBench"]

    assert (last["done"], last["total"]) == (ROWS, ROWS)


def test_sigterm_ends_the_run_with_143_and_writes_no_record(stopped: int, bench: Bench) -> None:
    """Must run before `resumed`: POPE's record is still that of the first, failed attempt."""
    cell = bench.cell("POPE")

    assert stopped == 128 + signal.SIGTERM
    assert cell is not None
    assert (cell.status, cell.attempt) == ("failed", 1)


def test_a_finished_cell_is_kept_and_a_failed_one_tried_again(resumed: tuple[int, list[dict[str, Any]]]) -> None:
    status, events = resumed
    ends = named(events, "cell_end")

    assert status == 0
    assert (ends["OCRBench"]["kept"], ends["OCRBench"]["attempt"]) == (True, 1)
    assert (ends["POPE"]["kept"], ends["POPE"]["attempt"], ends["POPE"]["status"]) == (False, 2, "succeeded")


def test_an_interrupted_cell_goes_on_from_its_answers(resumed: tuple[int, list[dict[str, Any]]]) -> None:
    done = [event["done"] for event in resumed[1] if event["event"] == "progress"]

    assert (done[0], done[-1]) == (ANSWERED + 1, ROWS)
