"""`vldock cache scan`, `verify` and `prune`: what is there, whether it is whole, what may go."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from support.hub_cache_builder import COMMIT, OTHER, REPO, add_repo

from vldock.common.errors import UsageError
from vldock.host.cache import items as cache_items
from vldock.host.cache import locations
from vldock.host.cache import problems as cache_problems
from vldock.host.cache import prune as cache_prune
from vldock.host.cache import verify as cache_verify
from vldock.host.cache.prune import DAY, HOUR, PruneRequest
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.util.console import silent

END = cache_verify.END_OF_STREAM


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache root as `vldock run --cache` mounts it: a model, a data set twice, features, torch's folder."""
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


def blob(cache: Path, content: bytes = b"weights") -> Path:
    name = hashlib.sha256(content).hexdigest()
    return cache / "huggingface/models--liuhaotian--llava-v1.5-7b/blobs" / name


def later(hours: float = 2) -> float:
    return time.time() + hours * HOUR


def test_models_data_and_features_are_listed_once_each(cache: Path, data: Path) -> None:
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


def test_a_whole_cache_has_no_flaw_and_nothing_to_prune(cache: Path, data: Path) -> None:
    places = locations.find(cache=cache, data=data)

    assert cache_problems.find(places) == []
    assert cache_prune.plan(places, PruneRequest(), now=later()).lines() == []


def test_partial_files_of_every_kind_are_found(cache: Path, data: Path) -> None:
    paths = [blob(cache).with_name(f"{'a' * 64}.1f.incomplete"), data / ".POPE.tsv.7.part"]
    for path in paths:
        path.write_bytes(b"half")
    folder = cache / f"huggingface/datasets/nelorth___oxford-flowers/default/0.0.0/{OTHER}.incomplete"
    folder.mkdir()
    (folder / "x.arrow").write_bytes(b"half")

    flaws = cache_problems.find(locations.find(cache=cache, data=data))

    assert {(flaw.path, flaw.kind, flaw.size) for flaw in flaws} == {
        *((path, "partial", 4) for path in paths),
        (folder, "partial", 4),
    }


def test_a_blob_no_snapshot_names_is_an_orphan_and_goes(cache: Path) -> None:
    orphan = blob(cache, b"of a deleted revision")
    orphan.write_bytes(b"of a deleted revision")
    places = locations.find(cache=cache)

    wanted = cache_prune.plan(places, PruneRequest(), now=later())
    freed = cache_prune.execute(wanted, log=silent)

    assert ([flaw.path for flaw in wanted.flaws], freed) == ([orphan], 21)
    assert not orphan.exists()
    assert blob(cache).exists()


def test_a_file_whose_lock_is_taken_between_plan_and_deletion_stays(cache: Path) -> None:
    partial = blob(cache).with_name(f"{'a' * 64}.incomplete")
    partial.write_bytes(b"half")
    lock = cache / f"huggingface/.locks/models--liuhaotian--llava-v1.5-7b/{'a' * 64}.lock"
    lock.parent.mkdir(parents=True)
    wanted = cache_prune.plan(locations.find(cache=cache), PruneRequest(), now=later())
    told: list[str] = []

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        freed = cache_prune.execute(wanted, log=told.append)

    assert (freed, partial.exists()) == (0, True)
    assert told == [f"{partial} stays: it is being written now"]


def test_links_and_references_into_nowhere_are_torn_and_stay(cache: Path) -> None:
    blob(cache).unlink()
    add_repo(cache / "huggingface", repo="a/b")
    (cache / "huggingface/models--a--b/refs/main").write_text(OTHER, encoding="utf-8")
    places = locations.find(cache=cache)

    flaws = cache_problems.find(places)

    assert [(flaw.kind, flaw.path.name) for flaw in flaws] == [("torn", "main"), ("torn", "model.bin")]
    assert cache_prune.plan(places, PruneRequest(), now=later()).flaws == ()
    assert "torn" in {item.kind for item in cache_items.scan(places)}


def test_a_named_repository_goes_whole_and_one_with_the_same_commit_stays(cache: Path) -> None:
    add_repo(cache / "huggingface", repo="a/b", model_bin=b"other")
    places = locations.find(cache=cache)

    wanted = cache_prune.plan(places, PruneRequest(repos=(REPO,)))
    cache_prune.execute(wanted, log=silent)

    assert wanted.lines()[0].endswith(f"{REPO} {COMMIT[:12]} (main)")
    assert wanted.size == 9
    assert {item.name for item in cache_items.scan(places) if item.kind in ("model", "dataset")} == {
        "a/b",
        "nelorth/oxford-flowers",
    }


def test_an_unknown_repository_is_refused_with_those_there_are(cache: Path) -> None:
    with pytest.raises(UsageError) as caught:
        cache_prune.plan(locations.find(cache=cache), PruneRequest(repos=("no/such",)))

    assert REPO in (caught.value.expected or "")


def test_only_a_detached_revision_goes_and_what_it_shares_stays(cache: Path) -> None:
    add_repo(cache / "huggingface", commit=OTHER, ref=None, model_bin=b"weights", extra_bin=b"extra")
    places = locations.find(cache=cache)

    wanted = cache_prune.plan(places, PruneRequest(detached=True))
    cache_prune.execute(wanted, log=silent)

    assert wanted.size == 5
    assert (blob(cache).exists(), blob(cache, b"extra").exists()) == (True, False)


def test_what_was_not_read_for_so_long_goes(cache: Path) -> None:
    places = locations.find(cache=cache)
    old = time.time() - 100 * DAY
    for path in (cache / "huggingface/models--liuhaotian--llava-v1.5-7b/blobs").iterdir():
        os.utime(path, (old, old))

    wanted = cache_prune.plan(places, PruneRequest(unused_days=90))

    assert [line.split()[3] for line in wanted.lines()] == [REPO]


def test_every_blob_is_compared_with_its_name(cache: Path) -> None:
    small = b'{"a": 1}'
    git = hashlib.sha1(b"blob %d\0" % len(small) + small, usedforsecurity=False).hexdigest()
    (blob(cache).parent / git).write_bytes(small)
    (blob(cache).parent / "etag-of-another-kind").write_bytes(b"?")
    places = locations.find(cache=cache)

    whole = cache_verify.verify(places)
    blob(cache).write_bytes(b"Weights")
    damaged = [one for one in cache_verify.verify(places) if one.wrong]

    assert [one.wrong for one in whole] == [None] * len(whole)
    assert sum(not one.checked for one in whole) == 1
    assert [one.path for one in damaged] == [blob(cache)]


def test_a_git_blob_of_other_bytes_is_damaged(cache: Path) -> None:
    (blob(cache).parent / ("1" * 40)).write_bytes(b"x")

    assert [one.path.name for one in cache_verify.verify(locations.find(cache=cache)) if one.wrong] == ["1" * 40]


@pytest.mark.parametrize(
    ("content", "splits", "wrong"),
    [
        (b"rows" + END[:-1], {"train": {}}, "oxford-flowers-train.arrow is cut short"),
        (b"rows" + END, {"train": {}, "test": {}}, "split test is not there"),
    ],
    ids=["cut short", "a split is absent"],
)
def test_a_prepared_data_set_that_is_not_whole_is_named(
    cache: Path, content: bytes, splits: dict[str, object], wrong: str
) -> None:
    (info,) = cache.rglob("dataset_info.json")
    info.write_text(json.dumps({"splits": splits}), encoding="utf-8")
    (info.parent / "oxford-flowers-train.arrow").write_bytes(content)

    assert [one.wrong for one in cache_verify.verify(locations.find(cache=cache)) if one.wrong] == [wrong]


def test_the_command_lists_plans_and_deletes_only_when_confirmed(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cache", "prune", "--cache", str(cache), "--repo", REPO]

    assert invoke(cli.cli, words) == 0
    planned = capsys.readouterr().out
    assert blob(cache).exists()
    assert invoke(cli.cli, [*words, "--confirm"]) == 0

    assert "--confirm does it" in planned
    assert "9 B freed" in capsys.readouterr().out
    assert not blob(cache).exists()


def test_a_damaged_file_is_exit_code_4(cache: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = invoke(cli.cli, ["cache", "verify", "--cache", str(cache), "--data", str(data)])

    said = capsys.readouterr()
    assert code == 4
    assert "VLDOCK_ACCEPT_MD5=POPE=" in said.out
    assert "1 damaged" in said.err


def test_a_scan_in_json_is_one_object(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / "x.part").touch()

    assert invoke(cli.cli, ["cache", "scan", "--cache", str(cache), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [flaw["kind"] for flaw in told["flaws"]] == ["partial"]
    assert REPO in {item["name"] for item in told["items"]}
