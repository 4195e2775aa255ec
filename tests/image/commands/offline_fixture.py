"""A cached data set of a person's: a snapshot of parquet files in the Hub's layout, or the Arrow files made of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cached_plants import COMMIT, NAME, ROWS
from huggingface_hub import constants

from vldock.image.offline import load_dataset


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache with a snapshot of NAME: links to blobs, as huggingface_hub leaves it."""
    root = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    repository = root / "datasets--org--Plants"
    (repository / "snapshots" / COMMIT / "data").mkdir(parents=True)
    for folder in ("blobs", "refs"):
        (repository / folder).mkdir()
    (repository / "refs/main").write_text(COMMIT, encoding="utf-8")
    for split, rows in ROWS.items():
        pq.write_table(pa.table(rows), repository / "blobs" / split)
        (repository / f"snapshots/{COMMIT}/data/{split}-00000-of-00001.parquet").symlink_to(f"../../../blobs/{split}")
    return root


@pytest.fixture
def arrow(tmp_path: Path, hub: Path) -> Path:
    """The datasets library's cache, prepared from a snapshot removed afterwards."""
    load_dataset(NAME, cache_dir=tmp_path / "arrow")
    shutil.rmtree(hub)
    return tmp_path / "arrow"
