"""LLaVA from checkpoint to answer on the stand-ins: the path of real weights, CPU and GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import FreshPython

from vldock.common import passport
from vldock.common.cell_record import Cell
from vldock.image.vlmeval_hooks.provenance import sample_notes

MODEL = "llava_v1.5_7b"
BENCHMARKS = ("POPE", "TextVQA_VAL")
SAMPLES = 4
COUNT = """
import os
os.environ.update(VLDOCK_STANDIN="1", VLDOCK_DEVICE="cpu")
from vldock.image.startup import prepare
prepare.prepare()
import json
import torch.nn.functional as functional
from vlmeval.config import supported_VLM
from vlmeval.dataset import build_dataset

counts = {"attention": 0, "forward": 0}
model, benchmark = supported_VLM["llava_v1.5_7b"](), build_dataset("POPE")
model.set_dump_image(benchmark.dump_image)
decoder, attend = model.model.model, functional.scaled_dot_product_attention

def counted(*args, **kwargs):
    counts["attention"] += 1
    return attend(*args, **kwargs)

def passed(*_):
    counts["forward"] += 1

functional.scaled_dot_product_attention = counted
decoder.register_forward_hook(passed)
answer = model.generate(benchmark.build_prompt(benchmark.data.iloc[0]), dataset="POPE")
layers = model.model.config.num_hidden_layers
print(json.dumps({**counts, "layers": layers, "answer": answer, "choice": model.model.config._attn_implementation}))
"""


def evaluate(
    out: Path, *, model: str = MODEL, benchmarks: tuple[str, ...] = BENCHMARKS, **environ: str
) -> list[dict[str, Any]]:
    """Evaluate the stand-in on a few samples and return the events."""
    command = [sys.executable, "-m", "vldock.image", "evaluate", "--json", "--model", model, "--limit", str(SAMPLES)]
    environment = {**os.environ, "VLDOCK_STANDIN": "1", **environ}
    command += ["--out", str(out), "--data", *benchmarks]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def answers(out: Path, benchmark: str) -> list[str]:
    """Return the predictions of a cell, in order."""
    table = pd.read_excel(out / MODEL / benchmark / f"{MODEL}_{benchmark}.xlsx")
    return [str(answer) for answer in table["prediction"]]


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an evaluation on the CPU."""
    evaluate(out := tmp_path_factory.mktemp("cpu"), VLDOCK_DEVICE="cpu")
    return out


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_the_stand_in_answers_its_samples_on_a_cpu(on_cpu: Path, benchmark: str) -> None:
    cell = Cell.load(on_cpu / MODEL / benchmark)

    assert cell is not None
    assert (cell.status, cell.predictions, cell.standin) == ("succeeded", SAMPLES, True)
    assert cell.score is not None
    assert cell.score >= 90
    assert (cell.device, cell.dtype, cell.attention) == ("cpu", "float32", "sdpa")


def test_the_batched_engine_gives_the_stand_ins_answers_and_tells_of_each(on_cpu: Path, tmp_path: Path) -> None:
    events = evaluate(tmp_path, VLDOCK_DEVICE="cpu", VLDOCK_ENGINE="batched", VLDOCK_BATCH_SIZE="3")

    done = {event["benchmark"]: event["done"] for event in events if event["event"] == "progress"}
    assert done == dict.fromkeys(BENCHMARKS, SAMPLES)
    assert [answers(tmp_path, name) for name in BENCHMARKS] == [answers(on_cpu, name) for name in BENCHMARKS]


def test_the_13b_after_the_7b_asks_the_tower_nothing_and_answers_as_without_the_feature_cache(tmp_path: Path) -> None:
    benchmarks = ("POPE", "TextVQA_VAL", "MMBench_DEV_EN", "BLINK")
    env = {"VLDOCK_DEVICE": "cpu", "VLDOCK_ENGINE": "batched", "VLDOCK_FEATURES": str(tmp_path / "features")}
    larger = "llava_v1.5_13b"

    evaluate(tmp_path / "without", model=larger, benchmarks=benchmarks, **env)
    evaluate(tmp_path / "cold", benchmarks=benchmarks, **env, VLDOCK_FEATURE_CACHE="1")
    evaluate(tmp_path / "warm", model=larger, benchmarks=benchmarks, **env, VLDOCK_FEATURE_CACHE="1")

    for name in benchmarks:
        without, cold, warm = (
            passport.load(tmp_path / word / model / name / passport.FILE)
            for word, model in (("without", larger), ("cold", MODEL), ("warm", larger))
        )
        assert cold["features"]["read"] == warm["features"]["computed"] == 0
        assert cold["features"]["computed"] == warm["features"]["read"] > 0
        assert cold["features"]["space"] == warm["features"]["space"]
        assert passport.differences(without, warm) == []
        assert without["outcome"] == warm["outcome"]
        assert tokens(tmp_path / "without", larger, name) == tokens(tmp_path / "warm", larger, name)


def tokens(out: Path, model: str, benchmark: str) -> dict[str, list[int]]:
    """Return the token ids of a cell's answers, by sample."""
    found = sample_notes.read(out / model / benchmark / f"{model}_{benchmark}_prompts.jsonl")
    assert len(found) == SAMPLES
    return {index: note["answer"] for index, note in found.items()}


def test_every_layer_of_llava_calls_sdpa_at_every_step(fresh_python: FreshPython) -> None:
    done = fresh_python(COUNT)
    assert done.returncode == 0, done.stderr

    seen = json.loads(done.stdout.splitlines()[-1])

    assert seen["choice"] == "sdpa"
    assert seen["forward"] > 0
    assert seen["attention"] == seen["layers"] * seen["forward"]


@pytest.mark.gpu
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_half_precision_on_the_gpu_gives_the_cpu_s_answers(on_cpu: Path, on_gpu: Path, benchmark: str) -> None:
    cell = Cell.load(on_gpu / MODEL / benchmark)

    assert cell is not None
    assert (cell.dtype, cell.attention) == ("float16", "sdpa")
    assert answers(on_gpu, benchmark) == answers(on_cpu, benchmark)


@pytest.fixture(scope="module")
def on_gpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an evaluation on the GPU."""
    evaluate(out := tmp_path_factory.mktemp("gpu"), VLDOCK_DEVICE="cuda")
    return out
