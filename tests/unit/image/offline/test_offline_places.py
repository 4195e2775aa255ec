"""Folders of cached data sets: a user's HF_HOME decides, unless a variable of his own names another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.hub_cache_builder import COMMIT, add_repo
from test_offline_cached import prepare

from vldock.common.cache_env import CACHE_ENV
from vldock.image.offline.cached import find, list_names
from vldock.image.offline.places import arrow_folders, find_places, hub_folders

BAKED = {name: CACHE_ENV[name] for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE")}


@pytest.fixture(autouse=True)
def _nothing_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("datasets.config", "huggingface_hub.constants"):
        monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.parametrize(
    ("given", "arrow", "hub"),
    [
        ({}, "/workspace/.cache/huggingface/datasets", "/workspace/.cache/huggingface"),
        ({"HF_HOME": "/mnt/hf"}, "/mnt/hf/datasets", "/mnt/hf/hub"),
        ({"HF_HOME": "/mnt/hf", "HF_HUB_CACHE": "/h"}, "/mnt/hf/datasets", "/h"),
        ({"HF_DATASETS_CACHE": "/d"}, "/d", "/workspace/.cache/huggingface"),
        ({"HF_HOME": "/mnt/hf", "HF_DATASETS_CACHE": "/d"}, "/d", "/mnt/hf/hub"),
    ],
    ids=str,
)
def test_a_user_s_own_variables_decide_then_his_hf_home_then_the_image(
    given: dict[str, str], arrow: str, hub: str
) -> None:
    environ = {**BAKED, **given}

    found = find_places(environ=environ)

    assert (str(found.arrow), str(found.hub)) == (arrow, hub)


def test_a_cache_from_elsewhere_has_its_repositories_in_hub(tmp_path: Path) -> None:
    assert Path("/workspace/.cache/huggingface/hub") in hub_folders(BAKED)
    assert arrow_folders({"HF_HOME": str(tmp_path)})[0] == tmp_path / "datasets"


def test_a_folder_given_is_the_only_one_of_arrow_files() -> None:
    found = find_places("/mine", environ={**BAKED, "HF_HOME": "/mnt/hf"})

    assert found.arrow == Path("/mine")
    assert not [path for path in found.also if path.name == "datasets"]


def test_names_are_those_of_the_hub_and_each_data_set_is_listed_once(tmp_path: Path) -> None:
    add_repo(tmp_path / "hub", repo="org/MyPlants", kind="datasets")
    prepare(tmp_path / "datasets", name="org/MyPlants")
    prepare(tmp_path / "datasets", name="imagenet-1k")

    names = list_names(tmp_path / "datasets", tmp_path / "hub", tmp_path / "absent")

    assert names == {
        "org/MyPlants": tmp_path / "hub/datasets--org--MyPlants",
        "imagenet-1k": tmp_path / "datasets/imagenet-1k",
    }


def test_folders_that_are_links_to_one_another_hold_each_data_set_once(tmp_path: Path) -> None:
    add_repo(tmp_path / "hub", repo="org/x", kind="datasets", train_parquet=b"PAR1")
    (tmp_path / "link").symlink_to("hub")

    held = find("org/x", arrow=tmp_path / "absent", hub=tmp_path / "link", also=(tmp_path / "hub",))

    assert [one.path for one in held.snapshots] == [tmp_path / f"link/datasets--org--x/snapshots/{COMMIT}"]
