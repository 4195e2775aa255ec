"""LLaVA's train.py's command lines: its published scripts and the four arguments train, export and answer."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_vicuna
import training_fixture
from tiny_model import LLAVA_ROOT, VLMEVAL_ROOT, Bench
from training_fixture import Box

from vldock.image.training import llava_argument_table

pytest_plugins = ["bench_fixture"]
SCRIPTS = json.loads((Path(__file__).parents[1] / "llava_scripts.json").read_text())
ORDER = ("pretrain", "finetune", "finetune_lora", "finetune_task")
QUICK = ["train.max_steps=2", "train.batch_size=2", "train.answer_tokens=2"]
FOUR = [
    "--model_name_or_path", "lmsys/vicuna-7b-v1.5", "--data_path", "data/llava_instruct.json",
    "--image_folder", "data/images", "--output_dir", "checkpoints/llava-7b-finetune",
]  # fmt: skip


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture(scope="module")
def workspace(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vicuna.write_workspace(tmp_path_factory.mktemp("workspace"), box)


def python(*argv: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder`, without a network and a GPU."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "-1", **env}
    return subprocess.run([sys.executable, *argv], env=env, cwd=folder, capture_output=True, text=True, check=False)


def train(workspace: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run LLaVA's workspace_train.py in a workspace."""
    door = str(LLAVA_ROOT / "llava/train/workspace_train.py")
    return python(door, *argv, env={"WORKSPACE_ROOT": str(workspace)}, folder=workspace)


@pytest.fixture(scope="module")
def trained(workspace: Path) -> dict[str, subprocess.CompletedProcess[str]]:
    """The four published scripts, verbatim, one after the other: two steps, two rows each."""
    unchecked = ["--no-check"]  # the pretraining's preflight is enough
    return {name: train(workspace, *SCRIPTS[name], *QUICK, *(unchecked if at else [])) for at, name in enumerate(ORDER)}


@pytest.mark.parametrize("script", ORDER)
def test_a_published_script_trains_as_it_stands(
    trained: dict[str, subprocess.CompletedProcess[str]], script: str
) -> None:
    done = trained[script]

    assert done.returncode == 0, done.stderr
    assert "exported and loaded" in done.stderr
    assert "2 steps" in done.stdout


def test_the_four_arguments_train_and_run_py_evaluates_the_export(workspace: Path, bench: Bench) -> None:
    done = train(workspace, *FOUR)
    assert done.returncode == 0, done.stderr
    assert (
        "lmsys/vicuna-7b-v1.5 is a language model and becomes a LLaVA-1.5: tower openai/clip-vit-large" in done.stderr
    )
    model = workspace / "models/llava-7b-finetune"

    exported = python("-m", "vldock.image", "train", "export", "checkpoints/llava-7b-finetune", "--out", str(model),
                      env={"WORKSPACE_ROOT": str(workspace)}, folder=workspace)  # fmt: skip
    run_py = str(VLMEVAL_ROOT / "run.py")
    scored = python(run_py, "--data", "POPE", "--limit", "2", "--model", f"llava-7b-finetune={model}",
                    env=bench.env(), folder=bench.root)  # fmt: skip

    assert exported.returncode == 0, exported.stderr
    assert scored.returncode == 0, scored.stderr
    assert "llava-7b-finetune" in scored.stdout


def test_every_argument_of_llavas_training_has_its_place() -> None:
    from llava.train import train as theirs

    kinds = (theirs.ModelArguments, theirs.DataArguments, theirs.TrainingArguments)
    names = {
        field.name for kind in kinds for field in dataclasses.fields(kind) if field.init and field.name != "_n_gpu"
    }

    assert sorted(names - set(llava_argument_table.NAMES)) == []
