"""predict and run.py: the same answer to every sample of four benchmarks.

Each sample is asked by its question and its image, on the stand-in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.layout
HERE = Path(__file__).parents[1]
PREDICT = ("/workspace/scripts/predict.py",)
MODEL = "llava_v1.5_7b"
OTHERS = ("llava_v1.5_13b", "sharegpt4v_7b", "InternVL2-2B", "MiniCPM-V-2_6", "cogvlm-chat")
BENCHMARKS = ("POPE", "TextVQA_VAL", "MMMU_DEV_VAL", "BLINK")  # one image and several, all three kinds of question


def python(*command: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VLDOCK_STANDIN": "1", "VLDOCK_DEVICE": "cpu", **environ}
    return subprocess.run(
        [sys.executable, *command],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folder of a run.py over all samples, and predict's answers to the same."""
    out = tmp_path_factory.mktemp("run")
    done = python(str(HERE / "predict_all.py"), str(out), MODEL, *BENCHMARKS)
    assert done.returncode == 0, done.stdout + done.stderr
    return out / MODEL, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_answer_and_every_prompt_is_the_one_of_run_py(both: tuple[Path, dict[str, Any]], benchmark: str) -> None:
    by_run, by_predict = both
    table = pd.read_excel(by_run / f"{MODEL}_{benchmark}.xlsx")
    notes = [json.loads(line) for line in (by_run / f"{MODEL}_{benchmark}_prompts.jsonl").read_text().splitlines()]
    seen = by_predict[benchmark]

    assert len(seen) == len(table) >= 10
    assert {index: one["answer"] for index, one in seen.items()} == {
        str(index): str(said) for index, said in zip(table["index"], table["prediction"], strict=True)
    }
    assert {index: one["tokens"] for index, one in seen.items()} == {note["index"]: note["tokens"] for note in notes}
    assert all(one["same_text"] and one["streamed"] == one["answer"] for one in seen.values())


def test_pieces_of_an_answer_add_up_over_lines_scripts_and_bytes(both: tuple[Path, dict[str, Any]]) -> None:
    seen = both[1]["pieces"]

    assert [streamed for _, streamed, _ in seen] == [whole for whole, _, _ in seen]
    assert [count > 1 for *_, count in seen] == [True, True, True, False]


@pytest.mark.parametrize("model", OTHERS)
def test_every_other_kind_of_model_answers_as_run_py_does(model: str, tmp_path: Path) -> None:
    done = python(str(HERE / "predict_all.py"), str(tmp_path), model, "POPE", VLMEVAL_SAMPLE_LIMIT="3")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])["POPE"]
    folder = tmp_path / model
    table = pd.read_excel(folder / f"{model}_POPE.xlsx")
    notes = [json.loads(line) for line in (folder / f"{model}_POPE_prompts.jsonl").read_text().splitlines()]

    assert {index: one["answer"] for index, one in seen.items()} == {
        str(index): str(said) for index, said in zip(table["index"], table["prediction"], strict=True)
    }
    assert {index: one["tokens"] for index, one in seen.items()} == {note["index"]: note["tokens"] for note in notes}
    assert all(one["streamed"] == one["answer"] for one in seen.values())
    assert len(seen) == 3


def test_a_broken_image_is_refused_before_a_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    done = python(*PREDICT, "--image", str(tmp_path / "cut.png"), "--model", "no-such-model", "what?")

    assert (done.returncode, done.stdout) == (4, "")
    assert f"error: {tmp_path}/cut.png" in done.stderr
