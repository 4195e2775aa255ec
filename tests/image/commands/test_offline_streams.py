"""Streams and second copies: streaming=True from a local copy, Arrow files measured before they are made."""

from __future__ import annotations

import errno
import gzip
import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cached_plants import CARD, COMMIT, NAME, OTHER, ROWS
from torch.utils.data import DataLoader

from vldock.image.offline import copy_size, errors, load, load_dataset, mode

pytest_plugins = ["offline_fixture"]


@pytest.fixture(params=["snapshot", "arrow"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A cache folder for Arrow files: none are there beside the snapshot, or they are all there is."""
    request.getfixturevalue("hub" if request.param == "snapshot" else "arrow")
    return tmp_path / "arrow"


def offline_setting() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in mode.VARIABLES}


def files(folder: Path, ending: str = "") -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name.endswith(ending)]


def test_every_split_is_streamed_offline_from_the_local_copy_and_nothing_is_made(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    before = files(cache.parent), offline_setting()

    loaded = load(NAME, streaming=True, cache_dir=cache)

    assert isinstance(loaded.dataset, datasets.IterableDatasetDict)
    rows = {split: list(stream) for split, stream in loaded.dataset.items()}
    assert rows == {
        split: [{"x": x, "y": y} for x, y in zip(*held.values(), strict=True)] for split, held in ROWS.items()
    }
    assert loaded.mode.offline
    assert (files(cache.parent), offline_setting()) == before


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", [1, 2, 3]),
        ("train[:2]", [1, 2]),
        ("train[-1:]+test", [3, 4]),
        ("train[:67%]", [1, 2]),
        ("all", [1, 2, 3, 4]),
    ],
)
def test_a_stream_is_sliced_as_the_data_set_is(cache: Path, split: str, rows: list[int]) -> None:
    assert [row["x"] for row in load_dataset(NAME, split=split, streaming=True, cache_dir=cache)] == rows


def test_a_stream_has_the_configuration_and_the_revision_asked_for(tmp_path: Path, hub: Path) -> None:
    (hub / f"datasets--org--Plants/snapshots/{COMMIT}/README.md").write_text(CARD, encoding="utf-8")

    default = load_dataset(NAME, split="train", revision="main", streaming=True, cache_dir=tmp_path / "arrow")
    small = load_dataset(NAME, "small", split="train", streaming=True, cache_dir=tmp_path / "arrow")

    assert default.features["x"].int2str(1) == "daisy"
    assert [row["x"] for row in small] == [4]
    with pytest.raises(errors.NotCached):
        load_dataset(NAME, revision=OTHER, streaming=True, cache_dir=tmp_path / "arrow")


def test_json_lines_are_streamed_and_a_slice_of_them_is_refused_with_another_way(tmp_path: Path, hub: Path) -> None:
    snapshot = hub / f"datasets--org--Plants/snapshots/{COMMIT}"
    shutil.rmtree(snapshot / "data")
    (snapshot / "train.jsonl").write_text('{"x": 1}\n{"x": 2}\n', encoding="utf-8")

    assert [row["x"] for row in load_dataset(NAME, split="train", streaming=True, cache_dir=tmp_path)] == [1, 2]
    with pytest.raises(errors.UsageError, match="do not tell how many rows") as caught:
        load_dataset(NAME, split="train[:1]", streaming=True, cache_dir=tmp_path)
    assert 'split="train", streaming=True).skip(' in str(caught.value.hint)


def test_a_split_a_snapshot_does_not_have_is_told_before_a_copy_is_made(tmp_path: Path, hub: Path) -> None:
    with pytest.raises(errors.PartlyCached, match="no split validation"):
        load_dataset(NAME, split="validation", cache_dir=tmp_path / "arrow")

    assert not files(tmp_path / "arrow", ".arrow")


def test_a_stream_is_shared_by_a_loader_s_workers(cache: Path) -> None:
    rows = load_dataset(NAME, split="train", streaming=True, cache_dir=cache)

    assert sorted(row["x"] for row in DataLoader(rows, batch_size=None, num_workers=1)) == [1, 2, 3]


def test_a_copy_is_measured_and_logged_before_it_is_made(
    tmp_path: Path, hub: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps = []

    def note(step: load.Step) -> None:  # type: ignore[name-defined]
        steps.append((step.name, bool(files(tmp_path / "arrow", ".arrow"))))

    load(NAME, cache_dir=tmp_path / "arrow", on_step=note)

    (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert ("copy", False) in steps
    assert f"of Arrow (by the footers of the parquet files) in {tmp_path / 'arrow'}" in told.getMessage()
    assert "streaming=True or copy=False" in told.getMessage()


def test_the_measure_is_the_size_of_the_arrow_files(tmp_path: Path, hub: Path) -> None:
    pictures = [np.random.default_rng(n).bytes(20_000) for n in range(200)]
    rows = pa.table({"image": pictures, "label": [n % 3 for n in range(200)]})
    pq.write_table(rows, hub / "datasets--org--Plants/blobs/train", compression="zstd")
    pq.write_table(rows.slice(0, 50), hub / "datasets--org--Plants/blobs/test", compression="zstd")

    loaded = load(NAME, cache_dir=tmp_path / "arrow")

    made = sum(path.stat().st_size for path in files(tmp_path / "arrow", ".arrow"))
    measured = copy_size.measure((hub / "datasets--org--Plants/blobs").iterdir(), "parquet", tmp_path).arrow
    assert measured == pytest.approx(made, rel=0.01)
    assert loaded.dataset["train"].num_rows == 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"x": 1}\n' * 90, "0.8 kB of Arrow (the size of the json files)"),
        (gzip.compress(b"{}"), "(at least: the size of"),
    ],
    ids=["plain", "compressed"],
)
def test_files_without_a_footer_are_measured_by_their_own_size(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "rows").write_bytes(content)

    assert said in str(copy_size.measure([tmp_path / "rows"], "json", tmp_path / "absent"))


def test_a_copy_that_does_not_fit_is_refused_and_nothing_is_made(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_size.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))

    with pytest.raises(errors.NoSpace, match=r"has 0\.0 kB free, and a copy as Arrow takes 0\.\d kB") as caught:
        load_dataset(NAME, cache_dir=tmp_path / "arrow")

    assert "copy=False" in str(caught.value.hint)
    assert not files(tmp_path / "arrow", ".arrow")
    assert [row["x"] for row in load_dataset(NAME, split="test", streaming=True, cache_dir=tmp_path / "arrow")] == [4]


def test_a_declined_copy_is_a_stream_and_arrow_files_that_are_there_are_read(tmp_path: Path, hub: Path) -> None:
    declined = load(NAME, split="train", copy=False, cache_dir=tmp_path / "arrow")
    made = not (tmp_path / "arrow").exists()
    load_dataset(NAME, cache_dir=tmp_path / "arrow")
    there = load(NAME, split="train", copy=False, cache_dir=tmp_path / "arrow")

    assert made
    assert isinstance(declined.dataset, datasets.IterableDataset)
    assert "no copy is made: copy=False" in declined.steps[-1].said
    assert isinstance(there.dataset, datasets.Dataset)


def test_a_disk_that_fills_while_a_copy_is_made_is_told(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets.packaged_modules.parquet.parquet import Parquet

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Parquet, "_generate_tables", full)

    with pytest.raises(errors.NoSpace):
        load_dataset(NAME, cache_dir=tmp_path / "arrow")
