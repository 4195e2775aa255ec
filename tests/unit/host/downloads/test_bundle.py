"""A bundle is made, carried, unpacked elsewhere and complete; a changed byte is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.fake_hub import COMMIT, running
from support.tiny_weights import CLIP, LLAVA, model, table, tower, write_locks

from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke

NAMES = ("POPE", "MMStar")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Locks, a folder bundle and an archive bundle; the host is gone.

    Of two benchmarks and one model with its tower.
    """
    root = tmp_path_factory.mktemp("world")
    with running() as hub:
        hub.repos = {LLAVA: model(), CLIP: tower()}
        tables = {name: table(name, 50) for name in NAMES}
        hub.files = {f"/tsv/{name}.tsv": content for name, content in tables.items()}
        locks = str(write_locks(root / "locks", endpoint=hub.url, tables=tables, revision=COMMIT))
        common = ("--locks", locks, "--retries", "1")
        data, cache = str(root / "data"), str(root / "cache")
        assert invoke(cli.cli, ["fetch", "weights", "llava_v1.5_7b", "--cache", cache, *common]) == 0
        asked = len(hub.requests)
        words = ["fetch", "weights", "llava_v1.5_7b", "--cache", cache, "--bundle", str(root / "w"), *common]
        assert invoke(cli.cli, words) == 0
        assert not [path for _, path, _ in hub.requests[asked:] if "/resolve/" in path]
        words = ["fetch", "data", *NAMES, "--data", data, "--bundle", str(root / "d.tar.zst"), *common]
        assert invoke(cli.cli, words) == 0
    return (yield root)


@pytest.fixture
def carried(world: Path, tmp_path: Path) -> Path:
    """Both bundles, at another place."""
    shutil.copytree(world / "w", tmp_path / "usb" / "w")
    shutil.copy(world / "d.tar.zst", tmp_path / "usb")
    return tmp_path / "usb"


def run(*words: object) -> int:
    return invoke(cli.cli, [str(word) for word in words])


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name[0] != "." and not path.is_dir())


def test_a_carried_folder_makes_a_complete_cache(world: Path, carried: Path, tmp_path: Path) -> None:
    cache = tmp_path / "closed"

    assert run("load", carried / "w", "--cache", cache) == 0
    assert run("check", "weights", "llava_v1.5_7b", "--cache", cache, "--locks", world / "locks") == 0
    assert everything(cache) == everything(world / "cache")


def test_a_carried_archive_makes_complete_data(world: Path, carried: Path, tmp_path: Path) -> None:
    assert run("load", carried / "d.tar.zst", "--data", tmp_path / "closed") == 0
    assert run("check", "data", *NAMES, "--data", tmp_path / "closed", "--locks", world / "locks") == 0
    assert not (world / "d.tar.zst.staging").exists()


def test_a_bundle_holds_no_link(carried: Path) -> None:
    assert [path for path in (carried / "w").rglob("*") if path.is_symlink()] == []


def test_the_same_files_make_the_same_archive(world: Path, carried: Path, tmp_path: Path) -> None:
    run("load", carried / "d.tar.zst", "--data", tmp_path / "data")
    words = ("--data", tmp_path / "data", "--locks", world / "locks", "--bundle", tmp_path / "again.tar.zst")

    assert run("fetch", "data", *NAMES, *words) == 0
    assert (tmp_path / "again.tar.zst").read_bytes() == (world / "d.tar.zst").read_bytes()


def test_a_second_load_changes_nothing(carried: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("load", carried / "w", "--cache", tmp_path / "closed")
    capsys.readouterr()

    assert run("load", carried / "w", "--cache", tmp_path / "closed", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["placed"], told["kept"]) == (0, 9)


def flip(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path.name


def cut(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-1])
    return path.name


def halve(path: Path) -> str:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path.name


def lose(path: Path) -> str:
    path.unlink()
    return path.name


@pytest.mark.parametrize("harm", [flip, cut, lose])
def test_a_harmed_folder_is_refused_by_name_and_nothing_is_loaded(
    carried: Path, tmp_path: Path, harm: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = harm(max((carried / "w").rglob("blobs/*"), key=lambda path: path.stat().st_size))

    assert run("load", carried / "w", "--cache", tmp_path / "closed") == 4
    assert name in capsys.readouterr().err
    assert everything(tmp_path / "closed") == []


@pytest.mark.parametrize("harm", [flip, halve])
def test_a_harmed_archive_is_refused_and_nothing_is_loaded(
    carried: Path, tmp_path: Path, harm: Callable[[Path], str]
) -> None:
    harm(carried / "d.tar.zst")

    assert run("load", carried / "d.tar.zst", "--data", tmp_path / "closed") == 4
    assert everything(tmp_path / "closed") == []


def test_another_manifest_than_the_one_that_was_printed_is_refused(carried: Path, tmp_path: Path) -> None:
    wanted = ("--manifest-sha256", "0" * 64)

    assert run("load", carried / "w", "--cache", tmp_path / "closed", *wanted) == 4


@pytest.mark.parametrize("path", ["LMUData/../../evil.tsv", "/etc/evil.tsv", "huggingface/models--a/../x", ".bashrc"])
def test_a_manifest_cannot_reach_outside(carried: Path, tmp_path: Path, path: str) -> None:
    manifest = carried / "w" / "manifest.json"
    raw = json.loads(manifest.read_text())
    raw["files"][0]["path"] = path
    manifest.write_text(json.dumps(raw))

    assert run("load", carried / "w", "--cache", tmp_path / "closed", "--data", tmp_path / "data") == 4


@pytest.mark.parametrize("path", ["../../../evil", "/evil", "a/../../b"])
def test_a_link_cannot_leave_its_repository(carried: Path, tmp_path: Path, path: str) -> None:
    manifest = carried / "w" / "manifest.json"
    raw = json.loads(manifest.read_text())
    raw["repositories"][0]["files"][0]["path"] = path
    manifest.write_text(json.dumps(raw))

    assert run("load", carried / "w", "--cache", tmp_path / "closed") == 4


def test_a_benchmark_that_is_there_with_other_bytes_is_not_overwritten(carried: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "POPE.tsv").write_text("mine")

    assert run("load", carried / "d.tar.zst", "--data", tmp_path / "data") == 4
    assert (tmp_path / "data" / "POPE.tsv").read_text() == "mine"
    assert not (tmp_path / "data" / "MMStar.tsv").exists()


def test_a_bundle_without_a_folder_for_it_is_2(carried: Path, tmp_path: Path) -> None:
    assert run("load", carried / "w", "--data", tmp_path / "data") == 2


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    assert run("load", tmp_path / "folder", "--cache", tmp_path / "closed") == 4
