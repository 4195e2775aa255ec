"""Two CPU devices, both stand-ins, one container killed midway: no cell repeated, none lost."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vldock.common.cell_record import Cell
from vldock.common.matrix import cells, matrix_models
from vldock.host.containers.spec import ROLE_LABEL, RUN_LABEL

pytestmark = [pytest.mark.matrix, pytest.mark.xdist_group("many devices")]

BENCHMARKS = ("POPE", "OCRBench", "MMStar", "TextVQA_VAL")
MODELS = tuple(model.name for model in matrix_models())
CELLS = cells(MODELS, BENCHMARKS)
PATIENCE = 3600  # seconds, a ceiling; a busy machine is never near it
HEADING = re.compile(r"^===== (\S+) x (\S+), attempt \d+ =====$", re.MULTILINE)


@dataclass(frozen=True)
class TwoDeviceRun:
    """A finished run: its folder, exit code, output, and the cell records at the kill."""

    folder: Path
    exit_code: int
    text: str
    before: dict[Path, str]


def records(outputs: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in outputs.glob("*/*/*/cell.json")}


@pytest.fixture(scope="module")
def finished_run(
    image: Any, repository: Path, docker_client: Any, tmp_path_factory: pytest.TempPathFactory
) -> TwoDeviceRun:
    """Run on two devices, kill -9 one container after two cells, wait for the end."""
    outputs = tmp_path_factory.mktemp("matrix") / "outputs"
    argv = [str(repository / ".venv/bin/vldock"), "matrix", "--standin", "--samples", "6", "--network", "none"]
    argv += ["--gpus", "none", "--workers", "2", "--image", image.id, "--benchmarks", ",".join(BENCHMARKS)]
    with subprocess.Popen(
        [*argv, "--outputs", str(outputs)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        deadline = time.monotonic() + PATIENCE
        while len(records(outputs)) < 2 and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        run_id = json.loads(next(outputs.glob("*/run.json")).read_text())["run_id"]
        labels = [f"{RUN_LABEL}={run_id}", f"{ROLE_LABEL}=matrix"]
        docker_client.containers.list(filters={"label": labels})[0].kill()
        before = records(outputs)
        text, _ = run.communicate(timeout=PATIENCE)
    (folder,) = outputs.iterdir()
    return TwoDeviceRun(folder, run.returncode, text, before)


def test_every_cell_succeeds_although_a_container_was_killed(finished_run: TwoDeviceRun) -> None:
    found = [Cell.load(finished_run.folder / model / name) for model, name in CELLS]

    assert finished_run.exit_code == 0, finished_run.text
    assert [cell.status for cell in found if cell] == ["succeeded"] * len(CELLS)
    assert "killed (exit 137)" in finished_run.text


def test_no_finished_cell_ran_twice_and_only_one_was_begun_again(finished_run: TwoDeviceRun) -> None:
    log = "".join((finished_run.folder / f"logs/{model}.log").read_text() for model in MODELS)
    begun = Counter(HEADING.findall(log))

    assert {path: path.read_text() for path in finished_run.before} == finished_run.before
    assert set(begun) == set(CELLS)
    assert sum(begun.values()) <= len(CELLS) + 1


def test_both_devices_worked_and_the_report_says_on_what(finished_run: TwoDeviceRun) -> None:
    stints = json.loads((finished_run.folder / "run.json").read_text())["stints"]
    report = (finished_run.folder / "EVALUATION_REPORT.md").read_text()

    assert sorted(name for stint in stints for name in stint["cells"]) == sorted(name for _, name in CELLS)
    assert {stint["device"] for stint in stints if stint["cells"]} == {"cpu0", "cpu1"}
    assert all(f"| {name} |" in report for name in ("cpu0", "cpu1"))
