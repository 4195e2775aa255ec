"""A cache root and a folder of benchmarks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.hub_cache_builder import COMMIT, add_repo

from vldock.host.cache import verify as cache_verify

END = cache_verify.END_OF_STREAM


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache root of `vldock run --cache`.

    A model, a data set twice, features, torch's folder.
    """
    root = tmp_path / "cache"
    add_repo(root / "huggingface", config_json=b"{}", model_bin=b"weights")
    add_repo(root / "huggingface", repo="nelorth/oxford-flowers", kind="datasets", train_parquet=b"PAR1")
    arrow = root / "huggingface/datasets/nelorth___oxford-flowers/default/0.0.0" / COMMIT
    arrow.mkdir(parents=True)
    (arrow / "oxford-flowers-train.arrow").write_bytes(b"rows" + END)
    (arrow / "dataset_info.json").write_text(json.dumps({"splits": {"train": {}}}), encoding="utf-8")
    features = root / "features/0a1b2c/flowers_vlm0"
    features.mkdir(parents=True)
    (features / "0.safetensors").write_bytes(b"f" * 100)
    (root / "torch").mkdir()
    (root / "torch/x.pt").write_bytes(b"t")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "LMUData"
    (folder / "images/POPE").mkdir(parents=True)
    (folder / "POPE.tsv").write_text("index\timage\n", encoding="utf-8")
    (folder / "images/POPE/1.jpg").write_bytes(b"jpg")
    return folder
