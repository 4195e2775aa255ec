"""The matrix of seven models and 24 benchmarks on the stand-ins: killed midway, started again, complete."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import openpyxl
import pytest
from support.containers import log_lines

from vldock.common import passport
from vldock.common.cell_record import Cell
from vldock.common.matrix import MODELS, cells, matrix_benchmarks, matrix_models
from vldock.host.containers.spec import RUN_LABEL

pytestmark = [pytest.mark.matrix, pytest.mark.xdist_group("whole matrix")]

CELLS = cells([model.name for model in MODELS], [one.name for one in matrix_benchmarks(extra=True)])
WHOLE = "168/168"
ENOUGH = 90.0
KILL_AFTER = 7  # finished cells
PATIENCE = 7200  # seconds, a ceiling; a busy machine is never near it


@dataclass(frozen=True)
class FinishedMatrix:
    """A finished matrix: folder, exit code, output, and the attempts of cells finished before the kill."""

    folder: Path
    exit_code: int
    text: str
    before_kill: dict[str, int]


def finished(outputs: Path) -> dict[str, int]:
    """Return the attempt of each succeeded cell by model/benchmark, below a run's folder."""
    records = (Cell.load(path.parent) for path in outputs.glob("*/*/*/cell.json"))
    return {f"{cell.model}/{cell.benchmark}": cell.attempt for cell in records if cell and cell.status == "succeeded"}


@pytest.fixture(scope="module")
def matrix(image, repository, tmp_path_factory) -> FinishedMatrix:
    """Start the matrix, kill -9 it after KILL_AFTER cells, run it again to its end."""
    outputs = tmp_path_factory.mktemp("matrix") / "outputs"
    argv = [repository / ".venv/bin/vldock", "matrix", "--standin", "--models", "all", "--samples", "10"]
    argv += ["--benchmarks", "all24", "--network", "none", "--gpus", "none", "--image", image.id, "--outputs", outputs]
    first = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + PATIENCE
    while len(finished(outputs)) < KILL_AFTER and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before_kill = finished(outputs)
    second = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    (folder,) = [path for path in outputs.iterdir() if path.is_dir()]
    return FinishedMatrix(folder, second.returncode, second.stdout + second.stderr, before_kill)


def test_it_ends_with_every_cell(matrix):
    assert matrix.exit_code == 0, matrix.text
    assert WHOLE in matrix.text


def test_no_finished_cell_ran_twice(matrix):
    after = finished(matrix.folder.parent)
    assert len(matrix.before_kill) >= KILL_AFTER
    assert {name: after[name] for name in matrix.before_kill} == matrix.before_kill


def test_no_container_is_left(matrix, docker_client):
    run_id = json.loads((matrix.folder / "run.json").read_text())["run_id"]
    assert not docker_client.containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"})


def test_the_forty_eight_cells_of_both_llavas_are_whole(matrix):
    wanted = cells([model.name for model in matrix_models()], [one.name for one in matrix_benchmarks(extra=True)])

    assert len(wanted) == 48
    assert {"/".join(cell) for cell in wanted} <= set(finished(matrix.folder.parent))


@pytest.mark.parametrize(("model", "benchmark"), CELLS, ids="/".join)
def test_a_cell_has_every_prediction_and_scores(matrix, model, benchmark):
    cell = Cell.load(matrix.folder / model / benchmark)
    assert cell is not None
    assert (cell.status, cell.standin, cell.predictions) == ("succeeded", True, cell.samples), cell.error
    assert cell.score is not None
    assert cell.score >= ENOUGH


@pytest.mark.parametrize("model", [model.name for model in MODELS])
def test_a_model_has_its_log_csv_and_workbook(matrix, model):
    rows = list(
        csv.DictReader((matrix.folder / f"results/{model}_results.csv").read_text(encoding="utf-8").splitlines())
    )
    book = openpyxl.load_workbook(matrix.folder / f"results/{model}_results.xlsx")
    assert (matrix.folder / f"logs/{model}.log").stat().st_size > 0
    assert len(rows) == 24
    assert book.active is not None
    assert book.active.max_row >= 25


def test_the_report_says_what_was_done_and_that_it_is_a_stand_in(matrix):
    report = (matrix.folder / "EVALUATION_REPORT.md").read_text(encoding="utf-8")
    assert "STAND-IN" in report
    assert WHOLE in report or WHOLE.replace("/", " of ") in report
    assert all(name in report for name in ("transformers", "CPU", "MMBench_DEV_EN"))


def test_the_summary_log_has_a_line_for_each_cell(matrix):
    log = (matrix.folder / "logs/evaluation_summary.log").read_text(encoding="utf-8")
    assert all(benchmark in log for _, benchmark in CELLS)


def test_files_belong_to_the_caller(matrix):
    assert {path.stat().st_uid for path in matrix.folder.rglob("*")} == {os.getuid()}


def test_each_cell_has_a_passport_of_the_declared_schema(matrix, repository):
    schema = json.loads((repository / "docs/trust/passport.schema.json").read_text(encoding="utf-8"))
    found = [passport.load(path) for path in passport.find(matrix.folder)]
    assert len(found) == len(CELLS)
    for document in found:
        jsonschema.validate(document, schema)
        samples = document["prompts"]["samples"]
        assert None not in [sample[1] for sample in samples.values()], document["benchmark"]
        assert len(samples) == document["data"]["rows"]


def test_no_log_has_a_line_at_warning_or_above_but_those_listed(matrix):
    text = "\n".join(path.read_text(encoding="utf-8") for path in matrix.folder.glob("logs/*.log"))
    assert log_lines.unlisted(text) == []
