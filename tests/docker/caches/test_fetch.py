"""What `vldock fetch` brings is what the image finds without a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.download_helpers import fetch
from support.fake_hub import running
from support.tiny_weights import write_locks

from vldock.host.containers.lifecycle import Completed

FLOWERS = "nelorth/oxford-flowers"
# a data set of drawn flowers in the form of the Hub's: parquet, an image and a class label
DRAWN = """
from pathlib import Path
from datasets import ClassLabel, Dataset, Features, Image
from vldock.image.training.demo import flowers as demo
from vldock.image.training.data.flower_names import NAMES
features = Features({"image": Image(), "label": ClassLabel(names=list(NAMES))})
for split, seeds in (("train", (0, 1)), ("test", (2,))):
    drawn = [(demo.draw(name, seed), NAMES.index(name)) for name in demo.KINDS for seed in seeds]
    rows = Dataset.from_dict(dict(zip(("image", "label"), map(list, zip(*drawn)))), features=features)
    rows.to_parquet(f"/workspace/made/{split}-00000-of-00001.parquet")
demo.write_base(Path("/workspace/models/base"), Path("/workspace/models/tower"), width=32, layers=2)
"""
TRAIN = (
    *("python", "-m", "vldock.image", "train", "--check", "data.name=oxford_flowers102", "data.questions=choice"),
    *("model.base=base", "model.method=lora", "train.batch_size=2", "train.accumulation=1", "train.answer_tokens=2"),
)


@pytest.fixture(scope="module")
def place(run_in_image: Callable[..., Completed], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a fetched cache, and models/base; the Hub it came from is gone."""
    root = tmp_path_factory.mktemp("fetched")
    mounts = {root / name: f"/workspace/{name}" for name in ("made", "models")}
    for folder in mounts:
        folder.mkdir()
    done = run_in_image(["python", "-c", DRAWN], mounts=mounts, user=f"{os.getuid()}:{os.getgid()}")
    assert done.exit_code == 0, done.text
    with running() as hub:
        hub.repos = {f"datasets/{FLOWERS}": {f"data/{path.name}": path.read_bytes() for path in root.glob("made/*")}}
        locks = write_locks(root / "locks", endpoint=hub.url, tables={})
        assert fetch(locks, "datasets", "oxford_flowers102", "--cache", str(root / "cache")) == 0
    return (yield root)


@pytest.mark.parametrize("name", [FLOWERS, "oxford_flowers102"])
def test_a_fetched_data_set_is_found_by_name(name: str, place: Path, run_in_image: Callable[..., Completed]) -> None:
    words = ["python", "/workspace/scripts/test_hf_cache.py", name]

    done = run_in_image(words, mounts={place / "cache": "/workspace/.cache:ro"})

    assert done.exit_code == 0, done.text
    assert "PASS: training can read this data without a network" in done.stdout


def test_a_training_reads_a_fetched_data_set(place: Path, run_in_image: Callable[..., Completed]) -> None:
    mounts = {place / "cache": "/workspace/.cache", place / "models": "/workspace/models:ro"}

    done = run_in_image(TRAIN, mounts=mounts, environment={"HF_HUB_OFFLINE": "1"})

    assert done.exit_code == 0, done.text
    assert "training and" in done.text
    assert "preflight: 15 of 15 checks passed" in done.text
