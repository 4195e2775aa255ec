"""refs/ of the Hub's cache: read as huggingface_hub does, repaired by one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import try_to_load_from_cache
from support.download_helpers import put
from support.fake_hub import COMMIT
from support.tiny_weights import CLIP, LLAVA, model, tower, write_locks

from vldock.common import hub_cache_layout
from vldock.common.errors import InputRefused
from vldock.host.cache import checkup, locations
from vldock.host.cache import verify as cache_verify
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.downloads import inventory
from vldock.host.downloads.hub_snapshot import publish
from vldock.host.downloads.locked_files import LockedRepo
from vldock.image.weights import hub_snapshots
from vldock.image.workspace import model_location as workspace

OTHER = "b" * 40
MENDED = {
    "newline": f"{COMMIT}\n".encode(),
    "carriage return": f"{COMMIT}\r\n".encode(),
    "blanks": f"  {COMMIT} ".encode(),
    "byte-order mark": b"\xef\xbb\xbf" + COMMIT.encode(),
    "utf-16": COMMIT.encode("utf-16"),
    "upper case": COMMIT.upper().encode(),
    "empty": b"",
}
LOST = {"another revision": OTHER.encode(), "a path": b"../refs", "two words": f"{COMMIT} {COMMIT}".encode()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for --cache with a whole model and its tower.

    As `vldock fetch weights` leaves it.
    """
    hub = tmp_path / "cache" / "huggingface"
    files = {name: content for name, content in model().items() if not name.endswith((".msgpack", ".bin"))}
    publish(hub, put(hub, LLAVA, files))
    publish(hub, put(hub, CLIP, tower()))
    return tmp_path / "cache"


def main(root: Path) -> Path:
    return hub_cache_layout.folder(root / "huggingface", LLAVA) / "refs" / "main"


def found_by_the_library(root: Path) -> bool:
    return isinstance(try_to_load_from_cache(LLAVA, "config.json", cache_dir=root / "huggingface"), str)


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in (MENDED | LOST).items() if name != "utf-16"]
)
def test_nothing_is_read_where_the_library_reads_nothing(text: bytes, root: Path) -> None:
    main(root).write_bytes(text)

    assert not found_by_the_library(root)
    assert hub_cache_layout.commit_of(main(root).parents[1]) is None


def test_a_name_the_library_takes_is_taken_whatever_it_looks_like(root: Path) -> None:
    place = main(root).parents[1]
    (place / "snapshots" / COMMIT).rename(place / "snapshots" / "mine\n")
    main(root).write_bytes(b"mine\n")

    assert found_by_the_library(root)
    assert hub_cache_layout.commit_of(place) == "mine\n"


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in (MENDED | LOST).items()])
def test_every_look_finds_it(text: bytes, root: Path) -> None:
    main(root).write_bytes(text)
    environ = {"TRANSFORMERS_CACHE": str(root / "huggingface"), "HF_HUB_OFFLINE": "1"}
    found = locations.find(cache=root)

    assert inventory.repo_item(LockedRepo(LLAVA), root / "huggingface").state != "complete"
    assert [one.path for one in cache_verify.verify(found) if one.wrong] == [main(root)]
    assert [str(main(root)) in check.seen for check in checkup.check_flaws(found)] == [True]
    assert hub_snapshots.snapshot(LLAVA, environ).hidden is not None
    with pytest.raises(InputRefused, match="cannot be loaded offline"):
        workspace.find_cached(LLAVA, environ)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in MENDED.items()])
def test_one_command_mends_it(text: bytes, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(root).write_bytes(text)

    code = invoke(cli.cli, ["cache", "verify", "--repair", "--cache", str(root)])

    assert (code, main(root).read_bytes()) == (0, COMMIT.encode())
    assert f"MENDED {main(root)}" in capsys.readouterr().err
    assert found_by_the_library(root)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in LOST.items()])
def test_what_cannot_be_told_is_left_as_it_is(text: bytes, root: Path) -> None:
    main(root).write_bytes(text)

    assert invoke(cli.cli, ["cache", "verify", "--repair", "--cache", str(root)]) == InputRefused.exit_code
    assert main(root).read_bytes() == text


def test_an_empty_one_beside_two_snapshots_is_left_as_it_is(root: Path) -> None:
    (main(root).parents[1] / "snapshots" / OTHER).mkdir()
    main(root).write_bytes(b"")

    assert cache_verify.repair(locations.find(cache=root)) == []


def test_check_names_the_command_that_mends_it(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_locks(tmp_path / "locks", endpoint="http://nowhere", tables={})
    main(root).write_text(f"{COMMIT}\n", encoding="utf-8")

    code = invoke(
        cli.cli, ["check", "weights", LLAVA, "--cache", str(root), "--locks", str(tmp_path / "locks"), "--json"]
    )

    out, err = capsys.readouterr()
    assert code == InputRefused.exit_code
    assert "takes as it is" in json.loads(out)["items"][0]["notes"][0]
    assert "vldock cache verify --repair --cache FOLDER" in err
