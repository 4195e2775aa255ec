"""The token of a mounted .env in every door of the image."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.paths import ROOT

from vldock.host.containers.lifecycle import Completed

SECRET, OTHER = "hf_of_the_env_file", "hf_of_docker_run"
ICON = "/opt/venv/lib/python3.11/site-packages/matplotlib/mpl-data/images/home.png"
LOAD_DATASET = "from vldock.image.offline import load_dataset; load_dataset('org/plants')"
LOAD_MODEL = "from llava.model.workspace_builder import *; load_pretrained_model_workspace('org/llava-v1.5-plants')"
DOORS = {
    "train": ("python", "-m", "vldock.image", "train"),
    "workspace_train": ("python", "/workspace/LLaVA/llava/train/workspace_train.py"),
    "test_trainer": ("python", "/workspace/scripts/test_trainer.py"),
    "predict": ("python", "/workspace/scripts/predict.py", "--model", "llava_v1.5_7b", "--image", ICON, "What?"),
    "load_dataset": ("python", "-c", LOAD_DATASET),
    "load_pretrained_model_workspace": ("python", "-c", LOAD_MODEL),
}
# these load from the cache alone: what a process beside them would ask the Hub with
CACHE_ONLY = {
    "features": ["features", "build", "--model", "liuhaotian/llava-v1.5-7b", "--images", "/usr/share/pixmaps"],
    "heads": ["train", "head", "--prepare", "--set", "data.train=8", "--set", "data.held_out=4"],
}
THEN = "from vldock.image.__main__ import main; main({}); from huggingface_hub import get_token; print([get_token()])"

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(run_in_image: Callable[..., Completed], tmp_path: Path) -> Ask:
    """Run a door beside a Hub that wants a token; return the Authorization headers the Hub got."""

    def run(door: Sequence[str], line: str, **options: object) -> list[str]:
        (tmp_path / "env").write_text(line)
        mounts = {tmp_path / "env": "/workspace/.env", ROOT / "tests" / "support": "/support:ro"}
        done = run_in_image(["python", "/support/token_door.py", *door], mounts=mounts, **options)
        answer = json.loads(done.stdout)
        assert SECRET not in answer["printed"]
        assert answer["seen"], answer["printed"]
        return list(answer["seen"])

    return run


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_the_token_of_env_reaches_the_hub(door: Sequence[str], ask: Ask) -> None:
    assert ask(door, f"HUGGINGFACE_TOKEN={SECRET}") == [f"Bearer {SECRET}"]


def test_the_token_of_docker_run_comes_before_that_of_env(ask: Ask) -> None:
    seen = ask(DOORS["load_dataset"], f"HF_TOKEN={SECRET}", environment={"HUGGING_FACE_HUB_TOKEN": OTHER})

    assert seen == [f"Bearer {OTHER}"]


@pytest.mark.parametrize("words", CACHE_ONLY.values(), ids=CACHE_ONLY)
def test_a_door_that_reads_the_cache_alone_has_the_token_too(
    words: list[str], run_in_image: Callable[..., Completed], tmp_path: Path
) -> None:
    (tmp_path / "env").write_text(f"HUGGINGFACEHUB_API_TOKEN={SECRET}\n")

    done = run_in_image(["python", "-c", THEN.format(words)], mounts={tmp_path / "env": "/workspace/.env"})

    assert done.stdout.splitlines()[-1:] == [str([SECRET])], done.text


def test_the_doctor_names_the_variable_and_the_file_and_not_the_token(
    run_in_image: Callable[..., Completed], tmp_path: Path
) -> None:
    (tmp_path / "env").write_text(f"HUGGINGFACE_TOKEN={SECRET}\n")

    done = run_in_image(["python", "-m", "vldock.image", "doctor"], mounts={tmp_path / "env": "/workspace/.env"})

    assert "HUGGINGFACE_TOKEN in /workspace/.env" in done.text
    assert SECRET not in done.text
