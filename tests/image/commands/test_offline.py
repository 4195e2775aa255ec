"""Data sets by name, offline: both cache layouts, in stated steps, settings untouched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import datasets
import pytest
from cached_plants import CARD, COMMIT, NAME, OTHER, ROWS
from datasets.naming import camelcase_to_snakecase, filenames_for_dataset_split

from vldock.common.filesystem.permissions import can_write
from vldock.image.offline import errors, load, load_dataset, places, readers
from vldock.image.offline.cached import arrow_name, find

pytest_plugins = ["offline_fixture"]


def outcomes(loaded: object) -> list[tuple[str, str]]:
    return [(step.name, step.outcome) for step in loaded.steps]  # type: ignore[attr-defined]


def test_a_snapshot_of_parquet_is_loaded_by_name_and_prepared_once(tmp_path: Path, hub: Path) -> None:
    first = load(NAME, cache_dir=tmp_path / "arrow")
    second = load(NAME, cache_dir=tmp_path / "arrow")

    assert outcomes(first) == [("mode", "told"), ("arrow", "passed"), ("copy", "told"), ("snapshot", "taken")]
    assert outcomes(second) == [("mode", "told"), ("arrow", "taken")]
    assert {name: split.to_dict() for name, split in second.dataset.items()} == ROWS


def test_the_arrow_cache_is_read_as_the_library_s_own_offline_mode_reads_it(
    arrow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    ours = load_dataset(NAME, cache_dir=arrow)
    theirs = datasets.load_dataset(NAME, cache_dir=str(arrow))

    assert {name: split.to_dict() for name, split in ours.items()} == ROWS
    assert {name: split.to_dict() for name, split in theirs.items()} == ROWS
    assert ours["train"].features == theirs["train"].features


@pytest.mark.parametrize(
    ("split", "rows"), [("train", [1, 2, 3]), ("train[:2]", [1, 2]), ("train[-1:]+test", [3, 4]), ("test[:1]", [4])]
)
def test_a_split_is_sliced_as_the_library_does(arrow: Path, split: str, rows: list[int]) -> None:
    assert list(load_dataset(NAME, split=split, cache_dir=arrow)["x"]) == rows


def test_the_card_decides_configurations_splits_and_label_names(tmp_path: Path, hub: Path) -> None:
    (hub / f"datasets--org--Plants/snapshots/{COMMIT}/README.md").write_text(CARD, encoding="utf-8")

    default = load_dataset(NAME, split="train", cache_dir=tmp_path / "arrow")
    small = load_dataset(NAME, "small", cache_dir=tmp_path / "arrow")

    assert default.features["x"].int2str(1) == "daisy"
    assert {name: list(split["x"]) for name, split in small.items()} == {"train": [4]}


def test_an_unfinished_folder_beside_it_does_not_stop_the_load(arrow: Path) -> None:
    """datasets 2.21's own lookup fails on it.

    A folder left by a killed process has no dataset_info.json.
    """
    (arrow / f"org___plants/default/0.0.0/{OTHER}.incomplete").mkdir()

    assert load_dataset(NAME, split="test", cache_dir=arrow)["y"] == ["d"]


@pytest.mark.parametrize(("config", "version"), [(None, COMMIT), ("default", COMMIT), (None, "main")])
def test_a_configuration_and_a_revision_are_honoured(
    tmp_path: Path, hub: Path, config: str | None, version: str
) -> None:
    assert load_dataset(NAME, config, revision=version, cache_dir=tmp_path / "a")["test"].num_rows == 1


def test_another_revision_is_not_taken_for_the_one_asked(arrow: Path) -> None:
    """datasets 2.21 offline takes any revision of its cache for the one that was asked for."""
    with pytest.raises(errors.NotCached):
        load_dataset(NAME, revision=OTHER, cache_dir=arrow)


def test_a_cache_that_cannot_be_locked_is_read_without(arrow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(arrow))

    monkeypatch.setattr(readers, "read_by_builder", refuse)

    loaded = load(NAME, cache_dir=arrow)

    assert outcomes(loaded)[1:] == [("arrow", "failed"), ("arrow", "taken")]
    assert {name: split.to_dict() for name, split in loaded.dataset.items()} == ROWS


def test_a_cache_mounted_read_only_is_read_although_the_environment_points_elsewhere(
    arrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(places.CACHE_ENV, "HF_DATASETS_CACHE", str(arrow))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "moved"))

    loaded = load(NAME, split="test")

    assert outcomes(loaded)[1:] == [("arrow", "taken")]
    assert loaded.dataset["y"] == ["d"]


def test_where_nothing_can_be_written_arrow_files_go_aside_and_it_is_said(
    tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(readers, "can_write", lambda path: path != tmp_path / "arrow" and can_write(path))

    loaded = load(NAME, cache_dir=tmp_path / "arrow")

    assert "lost with the container" in loaded.steps[-1].said
    assert not (tmp_path / "arrow").exists()


@pytest.mark.parametrize("offline", [True, False])
def test_the_offline_setting_is_as_it_was(arrow: Path, monkeypatch: pytest.MonkeyPatch, offline: bool) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", offline)
    before = dict(os.environ)

    loaded = load(NAME, cache_dir=arrow)
    with pytest.raises((errors.NotCached, RuntimeError)):
        load("no/such", cache_dir=arrow)

    assert loaded.mode.offline is offline
    assert (dict(os.environ), datasets.config.HF_HUB_OFFLINE) == (before, offline)


def test_a_file_that_is_missing_is_named(tmp_path: Path, hub: Path) -> None:
    (hub / "datasets--org--Plants/blobs/test").unlink()

    with pytest.raises(errors.PartlyCached, match=r"data/test-00000-of-00001\.parquet"):
        load(NAME, cache_dir=tmp_path / "arrow")


def test_a_split_that_is_not_cached_is_named(arrow: Path) -> None:
    with pytest.raises(errors.PartlyCached, match="split validation"):
        load(NAME, split="validation", cache_dir=arrow)


def test_a_file_that_is_no_parquet_is_unreadable_with_the_library_s_words(tmp_path: Path, hub: Path) -> None:
    (hub / "datasets--org--Plants/blobs/test").write_bytes(b"not parquet")

    with pytest.raises(errors.Unreadable, match="cannot be read"):
        load(NAME, cache_dir=tmp_path / "arrow")


def test_several_configurations_are_named_to_choose_from(arrow: Path) -> None:
    folder = arrow / "org___plants"
    shutil.copytree(folder / "default", folder / "large")
    (folder / "default").rename(folder / "small")

    with pytest.raises(errors.AmbiguousConfiguration) as caught:
        load(NAME, cache_dir=arrow)

    assert "large, small" in (caught.value.expected or "")


@pytest.mark.parametrize("name", ["org/Plants", "CamelCaseHTTPServer", "a/oxford-flowers102", "x/ABc1D"])
def test_folder_names_are_the_library_s(name: str, tmp_path: Path) -> None:
    *above, last = name.split("/")

    assert arrow_name(name) == "___".join((*above, camelcase_to_snakecase(last)))


def test_shard_names_are_the_library_s(arrow: Path) -> None:
    (held,) = find(NAME, arrow=arrow, hub=arrow).prepared
    wanted = [name for split in ROWS for name in filenames_for_dataset_split(str(held.path), "Plants", split, "arrow")]

    assert held.missing == ()
    assert sorted(wanted) == sorted(map(str, held.path.glob("*.arrow")))
