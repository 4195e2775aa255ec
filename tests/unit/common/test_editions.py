"""Editions of a benchmark by name, files by md5: alike on host and in container."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from support.paths import ROOT
from support.tiny_weights import write_locks

from vldock.common.errors import InputRefused, UsageError
from vldock.common.matrix import find_benchmark
from vldock.common.tables import editions
from vldock.common.tables.editions import Edition
from vldock.host.cache import verify as cache_verify
from vldock.host.cache.locations import CacheLocations
from vldock.host.cli.main import cli, invoke
from vldock.host.downloads import locked_files
from vldock.image.vlmeval_hooks.files import tsv

LOCKS = ROOT / "locks"
OLD, NEW = "3b6649b6a662184ea046908e5506260e", "d5e8af148b10ac69f535ff7b23f3f989"
KNOWN = {"BLINK": (Edition("original", OLD), Edition("corrected", NEW))}


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    """Locks in which BLINK has the editions `old`, the default, and `new`, without an address."""
    folder = write_locks(tmp_path / "locks", endpoint="https://example.invalid", tables={"BLINK": b"old"})
    lock = json.loads((folder / "datasets.json").read_text())
    lock["benchmarks"][0] |= {"edition": "old", "editions": [{"name": "new", "md5": md5("new"), "url": None}]}
    (folder / "datasets.json").write_text(json.dumps(lock))
    return folder


def test_blink_has_two_editions_and_vlmevalkits_is_the_default() -> None:
    known = editions.read_editions(LOCKS / "datasets.json")
    benchmark = find_benchmark("BLINK")

    assert [(one.name, one.md5) for one in known["BLINK"]] == [("original", OLD), ("corrected", NEW)]
    assert benchmark is not None
    assert benchmark.md5 == OLD


def test_accepted_md5_are_read_and_a_malformed_one_is_named() -> None:
    env = {editions.ACCEPT: f"POPE={md5('a').upper()}, MME={md5('b')}"}
    assert editions.accepted_md5s(env) == {"POPE": md5("a"), "MME": md5("b")}
    with pytest.raises(UsageError, match="'POPE=12'"):
        editions.accepted_md5s({editions.ACCEPT: "POPE=12"})


@pytest.mark.parametrize(
    ("env", "md5_of_file"),
    [
        ({}, OLD),
        ({"VLDOCK_EDITION": "BLINK=original"}, OLD),
        ({"VLDOCK_EDITION": "BLINK=corrected"}, NEW),
        ({"VLDOCK_EDITION": "BLINK=corrected", "VLDOCK_ACCEPT_MD5": f"BLINK={'0' * 32}"}, "0" * 32),
    ],
    ids=["default", "by its name", "another", "an md5 comes first"],
)
def test_both_sides_want_the_same_file(env: dict[str, str], md5_of_file: str) -> None:
    (locked,) = [one for one in locked_files.load_datasets(LOCKS, env) if one.name == "BLINK"]

    assert locked.md5 == editions.wanted_md5("BLINK", OLD, KNOWN, env) == md5_of_file


def test_an_edition_that_is_not_declared_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no edition 'fixed'") as refused:
        editions.chosen_editions(KNOWN, {"VLDOCK_EDITION": "BLINK=fixed"})

    assert refused.value.expected == "BLINK=original, BLINK=corrected"


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({}, 4),
        ({"VLDOCK_EDITION": "BLINK=new"}, 0),
        ({"VLDOCK_ACCEPT_MD5": f"BLINK={md5('new')}"}, 0),
        ({"VLDOCK_EDITION": "BLINK=old"}, 4),
    ],
)
def test_check_takes_the_edition_asked_for(
    env: dict[str, str],
    code: int,
    locks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "BLINK.tsv").write_text("new")
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert invoke(cli, ["check", "data", "BLINK", "--data", str(tmp_path), "--locks", str(locks), "--json"]) == code
    (item,) = json.loads(capsys.readouterr().out)["items"][:1]
    assert ("VLDOCK_EDITION=BLINK=new" in " ".join(item["notes"])) == (code == 4)


def test_fetch_says_which_edition_has_no_address(
    locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLDOCK_EDITION", "BLINK=new")

    assert invoke(cli, ["fetch", "data", "BLINK", "--data", str(tmp_path), "--locks", str(locks)]) == 4
    assert "the new edition of BLINK has no address" in capsys.readouterr().err


def test_a_file_accepted_for_once_is_not_recorded(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_EDITION", "BLINK=new")
    before = (locks / "datasets.json").read_text()

    locked_files.record_data(locks, locked_files.load_datasets(locks))

    assert json.loads((locks / "datasets.json").read_text()) == json.loads(before)


def test_the_caches_check_takes_the_edition_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "BLINK.tsv").write_text("mine")
    places = CacheLocations(root=tmp_path / "cache", hubs=(), arrows=(), data=tmp_path)

    (wrong,) = cache_verify.verify(places)
    monkeypatch.setenv("VLDOCK_ACCEPT_MD5", f"BLINK={md5('mine')}")
    (right,) = cache_verify.verify(places)

    assert wrong.cure is not None
    assert wrong.cure.endswith(f"VLDOCK_ACCEPT_MD5=BLINK={md5('mine')}")
    assert right.wrong is None


def test_the_container_names_the_edition_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "BLINK.tsv").write_text("new")
    known = {"BLINK": (Edition("old", md5("old")), Edition("new", md5("new")))}
    monkeypatch.setattr(tsv, "declared_editions", lambda: known)

    with pytest.raises(InputRefused) as refused:
        tsv.ensure("BLINK", "https://example.invalid/BLINK.tsv", md5("old"), tmp_path)
    monkeypatch.setenv("VLDOCK_EDITION", "BLINK=new")
    tsv.ensure("BLINK", "https://example.invalid/BLINK.tsv", md5("old"), tmp_path)

    assert "VLDOCK_EDITION=BLINK=new" in str(refused.value.hint)
