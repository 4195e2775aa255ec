"""Trouble with the feature cache: reported, computed instead, and the training is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import training_fixture
from PIL import Image
from training_fixture import Box, last_features, weights_of

from vldock.image import picture_file
from vldock.image.features import evict
from vldock.image.training.data import images as training_images
from vldock.image.training.loop import monitor
from vldock.image.training.model import cached_tower

CACHED = "model.feature_cache=true"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture(scope="module")
def without(box: Box, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of a run of two steps that has no cache."""
    return weights_of(box.train(tmp_path_factory.mktemp("without") / "run").folder / "last")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLDOCK_FEATURES", str(tmp_path / "features"))
    return tmp_path / "features"


def troubles(run: Path) -> list[str]:
    """Return the troubles with the cache that the run's log tells."""
    return [line["trouble"] for line in monitor.read(run / monitor.LOG) if "trouble" in line]


@pytest.mark.parametrize("trouble", ["cannot be listed", "a file", "full", "rotten", "locks", "no room"])
def test_trouble_with_the_cache_is_told_and_the_training_is_the_same(
    box: Box, without: dict[str, bytes], tmp_path: Path, root: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trouble in ("cannot be listed", "rotten", "locks"):
        box.train(tmp_path / "filled", CACHED)
    _make(trouble, root, monkeypatch)

    run = box.train(tmp_path / "run", CACHED).folder

    assert weights_of(run / "last") == without
    assert troubles(run) if trouble != "rotten" else last_features(run)["damaged"] > 0
    assert len(troubles(run)) <= 2
    monkeypatch.undo()


def test_the_size_of_a_picture_that_lies_on_its_side_is_that_of_the_turned_one(tmp_path: Path) -> None:
    for turned in range(1, 9):
        exif = Image.Exif()
        exif[picture_file.ORIENTATION] = turned
        Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
        content = (tmp_path / "a.jpg").read_bytes()
        for accept in ((), ("exif-rotated",)):
            assert (
                training_images.size_of(content, accept=accept) == training_images.decode(content, accept=accept).size
            )


def test_a_tower_that_is_not_the_same_twice_is_not_cached(box: Box, tmp_path: Path) -> None:
    shutil.copytree(box.root / "tower", tmp_path / "tower")
    path = tmp_path / "tower" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"attention_dropout": 0.5}))
    base = box.altered(tmp_path / "base", mm_vision_tower=str(tmp_path / "tower"))

    run = box.train(tmp_path / "run", CACHED, f"model.base={base}", "train.max_steps=1").folder

    assert "drops attention at random" in troubles(run)[0]


def test_the_page_tells_what_was_read_and_computed(box: Box, tmp_path: Path) -> None:
    run = box.train(tmp_path / "run", CACHED).folder

    assert (
        f"{last_features(run)['computed']} computed, {last_features(run)['stored']} stored"
        in (run / "page.html").read_text()
    )


def _make(trouble: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring about one kind of trouble with a cache that holds every picture, or none."""
    from vldock.image.features import cache, file_locks, shards

    def fail(error: Exception) -> Any:
        def raises(*_: Any, **__: Any) -> Any:
            raise error

        return raises

    if trouble == "cannot be listed":
        monkeypatch.setattr(shards, "list_folder", fail(PermissionError(13, "Permission denied", str(root))))
    if trouble == "a file":
        root.write_text("")
    if trouble == "full":
        monkeypatch.setattr(cache.shards, "begin", fail(OSError(28, "No space left on device")))
    if trouble == "rotten":
        for one in evict.list_shards(root):
            content = one.path.read_bytes()
            one.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    if trouble == "locks":
        monkeypatch.setattr(file_locks, "lock_shared", fail(OSError(37, "No locks available")))
    if trouble == "no room":
        monkeypatch.setattr(cached_tower.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
