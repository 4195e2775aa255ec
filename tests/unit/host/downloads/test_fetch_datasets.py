"""`vldock fetch datasets`: the cache huggingface_hub would have written of a data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.download_helpers import fetch
from support.fake_hub import COMMIT, TOKEN, FakeHub

FLOWERS = "nelorth/oxford-flowers"
FOLDER = "huggingface/datasets--nelorth--oxford-flowers"
TRAIN = "data/train-00000-of-00001.parquet"
FILES = {"README.md": b"flowers", ".gitattributes": b"", TRAIN: b"PAR1" * 100_000, "images/a.png": b"a picture"}


@pytest.fixture(autouse=True)
def _flowers(hub: FakeHub) -> None:
    hub.repos[f"datasets/{FLOWERS}"] = dict(FILES)


def test_a_data_set_lies_as_huggingface_hub_writes_it(
    hub: FakeHub, locks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import huggingface_hub

    assert fetch(locks, "datasets", FLOWERS, "--cache", str(tmp_path)) == 0

    cache = tmp_path / "huggingface"
    found = huggingface_hub.snapshot_download(FLOWERS, repo_type="dataset", cache_dir=cache, local_files_only=True)
    scanned = huggingface_hub.scan_cache_dir(cache)
    assert Path(found) == tmp_path / FOLDER / "snapshots" / COMMIT
    assert Path(found, TRAIN).read_bytes() == FILES[TRAIN]
    assert [(repo.repo_type, repo.repo_id, list(repo.refs)) for repo in scanned.repos] == [
        ("dataset", FLOWERS, ["main"])
    ]


@pytest.mark.parametrize("name", ["oxford_flowers102", "Oxford-Flowers-102", f"datasets/{FLOWERS}"])
def test_the_names_people_type_are_one_data_set(locks: Path, tmp_path: Path, name: str) -> None:
    assert fetch(locks, "datasets", name, "--cache", str(tmp_path)) == 0
    assert (tmp_path / FOLDER / "refs/main").read_text() == COMMIT


def test_a_cut_data_set_is_not_visible_and_the_same_command_goes_on(hub: FakeHub, locks: Path, tmp_path: Path) -> None:
    words = ("datasets", FLOWERS, "--cache", str(tmp_path))
    path = f"/datasets/{FLOWERS}/resolve/{COMMIT}/{TRAIN}"
    hub.faults[path] = ["cut", "503"]

    assert fetch(locks, *words) != 0
    assert not (tmp_path / FOLDER / "refs").exists()
    hub.faults.clear()
    hub.requests.clear()

    assert fetch(locks, *words) == 0
    assert ["Range" in headers for headers in hub.requests_for(path)] == [True]


def test_a_dry_run_names_files_sizes_and_the_commit(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(locks, "datasets", FLOWERS, "--cache", str(tmp_path / "c"), "--dry-run", "--json") == 0

    plan = json.loads(capsys.readouterr().out)
    assert {item["name"].rpartition(f"{FLOWERS}/")[2]: item["size"] for item in plan["files"]} == {
        name: len(content) for name, content in FILES.items() if name != ".gitattributes"
    }
    assert plan["repositories"] == [{"repo": f"datasets/{FLOWERS}", "commit": COMMIT, "pinned": False}]
    assert not (tmp_path / "c").exists()


def test_a_gated_data_set_names_its_page(
    hub: FakeHub, locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.gated = {f"datasets/{FLOWERS}"}
    (tmp_path / "tokens").write_text(f"HUGGINGFACE_TOKEN={TOKEN}\n")
    words = ("datasets", FLOWERS, "--cache", str(tmp_path))

    assert fetch(locks, *words) == 40
    assert f"accept the licence at {hub.url}/datasets/{FLOWERS}" in capsys.readouterr().err
    assert fetch(locks, *words, "--env-file", str(tmp_path / "tokens")) == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("datasets", "POPE", "--cache", "c"), "hint: vldock fetch data POPE --data FOLDER"),
        (("data", FLOWERS, "--data", "d"), f"vldock fetch datasets {FLOWERS} --cache FOLDER"),
        (("data", "oxford_flowers102", "--data", "d"), "vldock fetch datasets oxford_flowers102 --cache FOLDER"),
        (("datasets", "--cache", "c"), "vldock fetch datasets ORG/NAME --cache FOLDER"),
        (("datasets", FLOWERS), "--cache ~/vldock-cache"),
    ],
)
def test_a_benchmark_and_a_data_set_are_kept_apart(
    locks: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], hint: str
) -> None:
    assert fetch(locks, *words) == 2
    assert hint in capsys.readouterr().err


def test_a_check_finds_a_flipped_byte_and_names_the_command(
    locks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vldock.host.cli import main as cli

    words = ["check", "datasets", "oxford_flowers102", "--cache", str(tmp_path), "--locks", str(locks)]
    fetch(locks, "datasets", FLOWERS, "--cache", str(tmp_path))
    whole = cli.invoke(cli.cli, words)
    blob = (tmp_path / FOLDER / "snapshots" / COMMIT / TRAIN).resolve()
    blob.write_bytes(b"PAR2" + blob.read_bytes()[4:])

    assert (whole, cli.invoke(cli.cli, words)) == (0, 4)
    assert f"hint: vldock fetch datasets {FLOWERS} --cache FOLDER" in capsys.readouterr().err


def test_a_data_set_is_carried_in_a_bundle(locks: Path, tmp_path: Path) -> None:
    from vldock.host.cli import main as cli

    assert fetch(locks, "datasets", FLOWERS, "--bundle", str(tmp_path / "usb.tar.zst")) == 0
    assert cli.invoke(cli.cli, ["load", str(tmp_path / "usb.tar.zst"), "--cache", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / FOLDER / "snapshots" / COMMIT / TRAIN).read_bytes() == FILES[TRAIN]
