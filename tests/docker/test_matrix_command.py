"""`vldock matrix` as a user types it, over the tiny image: completed, killed, stopped, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import wait_until
from support.paths import VLDOCK

from vldock.host.containers import cleanup
from vldock.host.matrix.job_container import ROLE

pytestmark = pytest.mark.engine
MODELS = ("llava_v1.5_7b", "llava_v1.5_13b")
BENCHMARKS = ("POPE", "MMStar", "OCRBench")


class MatrixCommand:
    """The command over the tiny image, with one outputs folder and one behaviour file."""

    def __init__(self, folder: Path, image: str) -> None:
        self.outputs, self.data, self.image = folder / "outputs", folder / "data", image
        self.data.mkdir()

    def behave(self, *lines: str) -> None:
        """Write the tiny image's behaviour file, lines like 'kill POPE'."""
        (self.data / "behaviour").write_text("".join(f"{line}\n" for line in lines))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command."""
        argv = [*VLDOCK, "matrix", *words]
        if "--resume" not in words:
            argv += ["--image", self.image, "--standin", "--gpus", "none", "--network", "none", "--samples", "2"]
            argv += ["--benchmarks", ",".join(BENCHMARKS), "--data", str(self.data)]
        return subprocess.Popen(
            [*argv, "--outputs", str(self.outputs)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        with self.start(*words) as child:
            out, err = child.communicate()
        return subprocess.CompletedProcess(words, child.returncode, out, err)

    @property
    def run_folder(self) -> Path:
        """The folder of the only run."""
        (folder,) = self.outputs.iterdir()
        return folder

    def runs(self) -> dict[str, int]:
        """Return the number of evaluations of each cell, by model and benchmark."""
        found = self.run_folder.glob("*/*/runs")
        return {f"{path.parts[-3]} {path.parts[-2]}": len(path.read_text().splitlines()) for path in found}

    def record(self) -> dict[str, Any]:
        """Return run.json."""
        return dict(json.loads((self.run_folder / "run.json").read_text()))


@pytest.fixture
def matrix(tmp_path: Path, tiny: str) -> MatrixCommand:
    """A matrix command with empty outputs."""
    return MatrixCommand(tmp_path, tiny)


def test_every_cell_succeeds_and_every_promised_file_is_there(matrix: MatrixCommand) -> None:
    done = matrix.run()

    assert done.returncode == 0, done.stderr
    assert "STAND-IN: 6/6 cells succeeded (100.0 %)" in done.stdout
    assert f"report: {matrix.run_folder / 'EVALUATION_REPORT.md'}" in done.stdout
    files = ["EVALUATION_REPORT.md", "report.html", "logs/evaluation_summary.log"]
    for model in MODELS:
        files += [f"logs/{model}.log", f"results/{model}_results.csv", f"results/{model}_results.xlsx"]
        files += [f"{model}/{name}/cell.json" for name in BENCHMARKS]
    assert [name for name in files if not (matrix.run_folder / name).is_file()] == []
    assert set(matrix.runs().values()) == {1}


def test_json_is_the_only_thing_on_standard_output(matrix: MatrixCommand) -> None:
    done = matrix.run("--json")

    said = json.loads(done.stdout)
    assert (said["succeeded"], said["total"], said["standin"]) == (6, 6, True)


def test_one_failed_cell_exits_one_and_is_named(matrix: MatrixCommand) -> None:
    matrix.behave("fail MMStar")

    done = matrix.run()

    assert done.returncode == 1
    assert "4/6 cells succeeded" in done.stdout
    assert (matrix.run_folder / "EVALUATION_REPORT.md").read_text().count("the evaluator broke") == 2


def test_a_container_that_is_killed_costs_only_the_cell_it_was_at(matrix: MatrixCommand) -> None:
    matrix.behave("kill MMStar")

    done = matrix.run()

    assert done.returncode == 1
    assert "killed (exit 137)" in done.stdout
    assert matrix.runs() == {f"{model} {name}": 2 if name == "MMStar" else 1 for model in MODELS for name in BENCHMARKS}


def test_on_two_devices_a_killed_container_costs_nothing_and_nothing_runs_twice(matrix: MatrixCommand) -> None:
    matrix.behave("once kill MMStar")

    done = matrix.run("--workers", "2")

    assert done.returncode == 0, done.stderr + done.stdout
    runs = matrix.runs()
    assert sorted(runs.values()) == [1, 1, 1, 1, 1, 2]
    assert [name.split()[1] for name, count in runs.items() if count == 2] == ["MMStar"]
    assert {stint["device"] for stint in matrix.record()["stints"]} == {"cpu0", "cpu1"}
    assert [path.name for path in (matrix.run_folder / "logs").glob("*@*")] == []


def test_every_cell_on_two_devices_at_once_is_started_by_torchrun(matrix: MatrixCommand) -> None:
    done = matrix.run("--workers", "2", "--data-parallel", "2", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "torchrun --standalone --nproc-per-node 2 -m vldock.image evaluate" in " ".join(
        done.stdout.replace("\\\n", " ").split()
    )


def test_a_cell_that_hangs_is_given_up(matrix: MatrixCommand) -> None:
    matrix.behave("hang MMStar")

    done = matrix.run("--timeout", "30", "--models", MODELS[0])  # seconds: a container's start may not take as long

    assert done.returncode == 1
    assert "no sign of life" in done.stdout
    assert "2/3 cells succeeded" in done.stdout


def test_killed_and_started_again_it_ends_complete_and_no_finished_cell_runs_twice(
    matrix: MatrixCommand, docker_client: Any
) -> None:
    matrix.behave("hang OCRBench")
    with matrix.start() as child:
        wait_until.until(lambda: len(list(matrix.outputs.glob("*/*/*/cell.json"))) == 2)
        wait_until.until(lambda: bool(list(matrix.outputs.glob("*/*/OCRBench/runs"))))
        child.send_signal(signal.SIGKILL)
    run_id = matrix.record()["run_id"]
    assert len(cleanup.find(docker_client, role=ROLE, run_id=run_id)) == 1  # besides, the image may be asked its facts

    matrix.behave()
    done = matrix.run()

    assert done.returncode == 0, done.stderr
    assert "was left by a killed run: removed" in done.stderr
    assert "2 of 6 cells are kept" in done.stderr
    expected = {f"{model} {name}": 1 for model in MODELS for name in BENCHMARKS}
    assert matrix.runs() == {**expected, "llava_v1.5_7b OCRBench": 2}
    assert cleanup.find(docker_client, run_id=run_id) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_stopped_it_says_how_to_go_on_and_leaves_no_container(
    matrix: MatrixCommand, docker_client: Any, number: signal.Signals
) -> None:
    matrix.behave("hold MMStar")
    with matrix.start() as child:
        wait_until.until(lambda: bool(list(matrix.outputs.glob("*/*/MMStar/runs"))))
        child.send_signal(number)
        _, err = child.communicate()

    assert child.returncode == 130
    assert f"hint: vldock matrix --resume {matrix.run_folder}" in err
    assert cleanup.find(docker_client, run_id=matrix.record()["run_id"]) == []
    matrix.behave()
    assert matrix.run("--resume", str(matrix.run_folder)).returncode == 0


def test_a_second_matrix_does_not_join_a_run_that_is_worked_on(matrix: MatrixCommand) -> None:
    matrix.behave("hang POPE")
    with matrix.start() as child:
        wait_until.until(lambda: bool(list(matrix.outputs.glob("*/*/POPE/runs"))))
        second = matrix.run()
        child.send_signal(signal.SIGTERM)

    assert second.returncode == 3
    assert f"is being worked on by process {child.pid}" in second.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its outputs to another user")
def test_results_belong_to_the_user_that_was_named(matrix: MatrixCommand) -> None:
    done = matrix.run("--user", "12345:12345")

    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in matrix.run_folder.glob("*/*/cell.json")} == {12345}


def test_an_image_that_is_not_here_is_told_with_the_way_to_have_it(matrix: MatrixCommand) -> None:
    matrix.image = "vldock-nowhere:0"

    done = matrix.run()

    assert done.returncode == 3
    assert "hint: vldock build" in done.stderr
    assert not matrix.outputs.exists()
