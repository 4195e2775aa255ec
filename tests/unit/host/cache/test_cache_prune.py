"""`vldock cache prune`: leftovers found, planned, and deleted when not in use."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest
from support.hub_cache_builder import COMMIT, OTHER, REPO, add_repo, blob, later

from vldock.common.caches import links
from vldock.common.errors import UsageError
from vldock.host.cache import items as cache_items
from vldock.host.cache import locations
from vldock.host.cache import problems as cache_problems
from vldock.host.cache import prune as cache_prune
from vldock.host.cache.prune import DAY, PruneRequest
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.util.console import silent


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


def test_with_a_repository_its_second_name_goes_and_what_is_linked_stays(tmp_path: Path) -> None:
    gone, kept = (add_repo(tmp_path / "huggingface/hub", repo=repo) for repo in (REPO, "a/b"))
    links.join_layouts(tmp_path)
    places = locations.find(cache=tmp_path)

    cache_prune.execute(cache_prune.plan(places, PruneRequest(repos=(REPO,))), log=silent)

    assert not (tmp_path / "huggingface" / gone.name).is_symlink()
    assert (tmp_path / "huggingface" / kept.name / "snapshots").is_dir()


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
