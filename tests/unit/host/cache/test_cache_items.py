"""`vldock cache scan`: the items of the caches, wherever tools put them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.hub_cache_builder import REPO, add_repo

from vldock.common.caches import links
from vldock.common.errors import UsageError
from vldock.host.cache import items as cache_items
from vldock.host.cache import locations
from vldock.host.cache import verify as cache_verify
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke


@pytest.mark.parametrize("linked", [False, True], ids=["as mounted", "with the links of a container"])
def test_models_data_and_features_are_listed_once_each(cache: Path, data: Path, linked: bool) -> None:
    if linked:
        links.join_layouts(cache)

    items = cache_items.scan(locations.find(cache=cache, data=data))

    assert {(item.kind, item.name, item.size) for item in items} == {
        ("model", REPO, 9),
        ("dataset", "nelorth/oxford-flowers", 4),
        ("arrow", "nelorth/oxford-flowers", 12 + len(json.dumps({"splits": {"train": {}}}))),
        ("benchmark", "POPE", 12),
        ("images", "POPE", 3),
        ("features", "0a1b2c/flowers_vlm0", 100),
        ("other", "torch", 1),
    }
    assert all(item.last_used for item in items)


def test_a_cache_of_two_layouts_is_listed_once_and_no_link_is_verified_twice(tmp_path: Path) -> None:
    add_repo(tmp_path / "huggingface", repo="o/flat")
    add_repo(tmp_path / "huggingface/hub", repo="o/own")
    links.join_layouts(tmp_path)

    here = locations.find(cache=tmp_path)

    assert sorted(item.name for item in cache_items.scan(here)) == ["o/flat", "o/own"]
    assert len(cache_verify.verify(here)) == 2


@pytest.mark.parametrize("below", ["", "hub", "huggingface", "huggingface/hub"])
def test_a_hub_cache_is_found_wherever_tools_put_it(tmp_path: Path, below: str) -> None:
    add_repo(tmp_path / below)

    assert locations.find(cache=tmp_path).hubs == (tmp_path / below,)


@pytest.mark.parametrize(
    ("environ", "root"),
    [({"WORKSPACE_ROOT": "/w", "HF_HOME": "/h"}, "/w/cache"), ({"HF_HOME": "/h"}, "/h")],
    ids=["workspace", "HF_HOME"],
)
def test_the_cache_of_this_machine_is_the_workspace_s_first(environ: dict[str, str], root: str) -> None:
    assert locations.default_root(environ) == Path(root)


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data"):
        locations.find(cache=tmp_path, data=tmp_path / "absent")


def test_a_scan_in_json_is_one_object(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "x.part").touch()

    assert invoke(cli.cli, ["cache", "scan", "--cache", str(cache), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [flaw["kind"] for flaw in told["flaws"]] == ["partial"]
    assert REPO in {item["name"] for item in told["items"]}
