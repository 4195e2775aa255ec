"""torchrun without a GPU: two processes share a benchmark, and a rank that fails is no success."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
from test_evaluate import ROWS, SCRIPT
from test_evaluate import Bench as Cells
from test_evaluate import bench as cells  # noqa: F401  a fixture
from tiny_model import MODEL, Bench

from vldock.image.vlmeval_hooks import ranks

pytest_plugins = ["bench_fixture"]


def torchrun(*words: str, env: dict[str, str], stdin: str = "") -> CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=240)


def predictions(bench: Bench) -> list[str]:
    return list(pd.read_excel(bench.out / f"{MODEL}_POPE.xlsx")["prediction"].astype(str))


def prompts(bench: Bench) -> dict[str, object]:
    return dict(json.loads((bench.out / f"{MODEL}_POPE_passport.json").read_text())["prompts"])


def test_two_ranks_answer_what_one_process_answers(bench: Bench) -> None:
    alone = bench.run(data="POPE", VLMEVAL_SAMPLE_LIMIT="5")
    expected = predictions(bench), prompts(bench)
    (bench.out / f"{MODEL}_POPE.xlsx").unlink()
    (bench.out / f"{MODEL}_POPE_prompts.jsonl").unlink()

    words = ("-m", "vlmeval.run", "--data", "POPE", "--model", MODEL)
    done = torchrun(*words, env=bench.env(VLMEVAL_SAMPLE_LIMIT="5"))

    assert (alone.returncode, done.returncode) == (0, 0), done.stderr
    assert (predictions(bench), prompts(bench)) == expected
    assert done.stdout.count(f"SCORE {MODEL} x POPE") == 1


def test_a_rank_that_fails_is_told_and_one_process_goes_on_from_the_answers(
    cells: Cells,  # noqa: F811
) -> None:
    arguments = ("evaluate", "--model", MODEL, "--out", str(cells.out), "--json", "--data")

    broken = torchrun(str(SCRIPT), *arguments, "-", env={**cells.environ, "FAKE_FAILS": "1"}, stdin="OCRBench\n")
    _, events = cells.run("OCRBench")

    assert broken.returncode == 1
    assert '"status": "succeeded"' not in broken.stdout
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert (done[0] > 1, done[-1]) == (True, ROWS)
    assert events[-1]["succeeded"] == 1


def test_answers_of_another_number_of_ranks_are_brought_together(tmp_path: Path) -> None:
    for name, answers in {"02_POPE.pkl": {1: "a", 3: "c"}, "12_POPE.pkl": {2: "b"}, "01_POPE.pkl": {5: "e"}}.items():
        (tmp_path / name).write_bytes(pickle.dumps(answers))

    ranks.gather(tmp_path, MODEL, "POPE")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["01_POPE.pkl", f"{MODEL}_POPE_PREV.pkl"]
    assert pickle.loads((tmp_path / f"{MODEL}_POPE_PREV.pkl").read_bytes()) == {1: "a", 2: "b", 3: "c"}


@pytest.mark.parametrize(
    ("gpus", "mine", "how"),
    [
        (["0", "1", "2", "3"], ["2", "3"], "own"),
        (["GPU-a", "GPU-b"], ["GPU-b"], "own"),
        (["0"], ["0"], "shared"),
        ([], [], "none"),
    ],
    ids=["two each", "one each", "too few", "none"],
)
def test_the_second_of_two_ranks_has_its_share_of_the_gpus(gpus: list[str], mine: list[str], how: str) -> None:
    assert ranks.share_of(gpus, 1, 2) == (mine, how)


def test_gpus_are_shared_out_once() -> None:
    environ = {"LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1", "CUDA_VISIBLE_DEVICES": "4,5"}

    ranks.place(environ)
    ranks.place(environ)

    assert (environ["CUDA_VISIBLE_DEVICES"], environ[ranks.PLACED]) == ("5", "own")
