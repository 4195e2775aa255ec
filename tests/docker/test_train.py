"""`vldock train` as a user types it: a tiny base learns drawn flowers, broken data is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.paths import VLDOCK

from vldock.host.containers.lifecycle import Completed

pytestmark = pytest.mark.xdist_group("train")
DRAWN = """
from pathlib import Path
from vldock.image.training.demo import flowers as demo
demo.write_flowers(Path("/workspace/data/flowers"), training=2, heldout=1)
demo.write_base(Path("/workspace/models/base"), Path("/workspace/models/tower"), width=32, layers=2)
"""
SETTINGS = """
out: checkpoints/run
data: {source: archive, path: flowers, questions: [choice], choices: 6}
model: {base: base, method: lora, lora_r: 4, feature_cache: true}
train: {max_steps: 3, batch_size: 2, accumulation: 1, learning_rate: 1.0e-3, log_every: 1, answer_tokens: 2}
"""


@pytest.fixture(scope="module")
def place(run_in_image: Callable[..., Completed], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the caller with data/flowers, models/base, models/tower and train.yaml."""
    folder = tmp_path_factory.mktemp("train")
    for name in ("data", "models"):
        (folder / name).mkdir()
    mounts = {folder / name: f"/workspace/{name}" for name in ("data", "models")}
    done = run_in_image(["python", "-c", DRAWN], mounts=mounts, user=f"{os.getuid()}:{os.getgid()}")
    assert done.exit_code == 0, done.text
    (folder / "train.yaml").write_text(SETTINGS)
    return folder


def train(image: Any, place: Path, *more: str, data: Path, checkpoints: Path) -> subprocess.CompletedProcess[str]:
    folders = ("--config", place / "train.yaml", "--data", data, "--models", place / "models")
    words = ["train", "--image", image.id, "--network", "none", "--gpus", "none", *map(str, folders)]
    argv = [*VLDOCK, *words, "--checkpoints", str(checkpoints), *more]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_tiny_base_is_checked_trained_scored_and_saved_without_a_network(
    image: Any, place: Path, tmp_path: Path
) -> None:
    done = train(image, place, data=place / "data", checkpoints=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "preflight: 15 of 15 checks passed" in done.stderr
    assert done.stdout.startswith("/workspace/checkpoints/run: 3 steps, held-out accuracy")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "step"] == [1, 2, 3]
    assert next(line for line in reversed(lines) if line["event"] == "features")["stored"] > 0
    assert (tmp_path / "run" / "last" / "adapter_model.safetensors").stat().st_uid == os.getuid()
    assert len(list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))) == 1


def test_broken_pictures_are_named_and_nothing_is_trained(image: Any, place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "data", tmp_path / "data")
    for number, content in ((2, b""), (5, b"no picture")):
        (tmp_path / "data" / "flowers" / "jpg" / f"image_{number:05d}.jpg").write_bytes(content)

    done = train(image, place, data=tmp_path / "data", checkpoints=tmp_path / "runs")

    assert done.returncode == 4
    assert "zero-size" in done.stderr
    assert "image_00005.jpg" in done.stderr
    assert list((tmp_path / "runs").iterdir()) == []


def test_rows_as_llavas_own_data_has_them_are_trained_on_and_counted(image: Any, place: Path, tmp_path: Path) -> None:
    ask, tell = {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A rose."}
    first, second = sorted(path.name for path in (place / "data" / "flowers" / "jpg").iterdir())[:2]
    rows = [{"id": "1", "image": first, "conversations": [ask, tell]} for _ in range(2)]
    rows += [{"id": "2", "image": second, "conversations": [tell, ask, tell]}]
    rows += [{"id": "3", "conversations": [{"from": "human", "value": "What does <image> do?"}, tell]}]
    rows += [{"id": "4", "image": "gone.jpg", "conversations": [ask, tell]}]
    (place / "data" / "mix.json").write_text(json.dumps(rows))
    words = ["data.source=json", "data.path=mix.json", "data.images=flowers/jpg"]

    refused = train(image, place, *words, data=place / "data", checkpoints=tmp_path)
    assert refused.returncode == 4, refused.stderr
    assert "or accept with data.accept=[duplicate-id,gpt-first,image-count,missing-file]" in refused.stderr

    accept = "data.accept=[duplicate-id,gpt-first,image-count,missing-file]"
    done = train(image, place, *words, accept, data=place / "data", checkpoints=tmp_path)
    assert done.returncode == 0, done.stderr
    counts = json.loads((tmp_path / "run" / "run.json").read_text())["accepted"]
    assert counts == {"duplicate-id": 1, "gpt-first": 1, "image-count": 1, "missing-file": 1, "text-only": 1}
