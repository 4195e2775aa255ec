"""torchrun without a GPU: two processes share a benchmark; a failed rank is a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from subprocess import CompletedProcess

import pandas as pd
from test_evaluate import ROWS, SCRIPT
from test_evaluate import Bench as Cells
from test_evaluate import bench as cells  # noqa: F401  a fixture
from tiny_model import MODEL, Bench

pytest_plugins = ["bench_fixture"]


def torchrun(*words: str, env: dict[str, str], stdin: str = "") -> CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *words]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True)


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
