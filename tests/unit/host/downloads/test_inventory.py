"""`vldock check`: missing, cut, flipped and foreign files by name.

The quick check of a snapshot too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.download_helpers import NoProgress, put
from support.fake_hub import COMMIT
from support.tiny_weights import CLIP, LLAVA, model, table, tower, write_locks

from vldock.common import hub_cache_layout, weight_files
from vldock.common.errors import InputRefused
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke
from vldock.host.downloads import inventory
from vldock.host.downloads.file import check_existing
from vldock.host.downloads.hub_snapshot import publish
from vldock.host.downloads.locked_files import LockedRepo
from vldock.host.downloads.partial_file import ExpectedFile
from vldock.host.downloads.request import FileRequest

SHARD = "model-00002-of-00002.safetensors"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A hub cache with a whole model and its tower."""
    root = tmp_path / "huggingface"
    files = {name: content for name, content in model().items() if not name.endswith((".msgpack", ".bin"))}
    publish(root, put(root, LLAVA, files))
    publish(root, put(root, CLIP, tower()))
    return root


def blob(cache: Path, name: str, repo: str = LLAVA) -> Path:
    return (hub_cache_layout.folder(cache, repo) / "snapshots" / COMMIT / name).resolve()


def look(cache: Path, *, quick: bool = False, locked: LockedRepo | None = None) -> tuple[str, str]:
    item = inventory.repo_item(locked or LockedRepo(LLAVA), cache, quick=quick)
    return item.state, " ".join(item.notes)


def test_a_whole_model_is_complete(cache: Path) -> None:
    assert look(cache) == ("complete", "")
    assert look(cache, quick=True) == ("complete", "")


def test_a_machine_s_own_layout_is_read_too(cache: Path) -> None:
    (cache / "hub").mkdir()
    for repository in cache.glob("models--*"):
        repository.rename(cache / "hub" / repository.name)

    assert look(cache) == ("complete", "")


def cut_tail(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:12])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def pointer(path: Path) -> None:
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")


def page(path: Path) -> None:
    path.write_bytes(b"<html>Service Unavailable</html>")


HARMS = [cut_tail, cut_header, grow, empty, zeros, pointer, page]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", [SHARD, "model.safetensors.index.json"])
def test_a_harmed_file_of_a_model_is_found_quickly_by_name(
    cache: Path, harm: Callable[[Path], None], name: str
) -> None:
    harm(blob(cache, name))

    state, notes = look(cache, quick=True)

    assert state == "corrupt"
    assert name in notes


@pytest.mark.parametrize("harm", [cut_tail, cut_header, empty, zeros, pointer, page])
def test_a_harmed_archive_of_torch_is_found_quickly_by_name(cache: Path, harm: Callable[[Path], None]) -> None:
    harm(blob(cache, "pytorch_model.bin", CLIP))

    files = hub_cache_layout.snapshot(hub_cache_layout.folder(cache, CLIP), COMMIT)
    assert [fault.file for fault in weight_files.find_faults(files)] == ["pytorch_model.bin"]


def test_a_flipped_byte_inside_a_tensor_takes_the_whole_check(cache: Path) -> None:
    path = blob(cache, SHARD)
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")

    assert look(cache, quick=True)[0] == "complete"
    state, notes = look(cache)
    assert (state, SHARD in notes) == ("corrupt", True)


def test_a_shard_that_is_missing_is_partial_by_name(cache: Path) -> None:
    blob(cache, SHARD).unlink()

    state, notes = look(cache)

    assert (state, f"{SHARD}: is a link into nowhere" in notes) == ("partial", True)


def test_a_shard_whose_link_is_missing_is_partial_by_name(cache: Path) -> None:
    (hub_cache_layout.folder(cache, LLAVA) / "snapshots" / COMMIT / SHARD).unlink()

    assert f"{SHARD}: is not there, and model.safetensors.index.json names it" in look(cache)[1]


def test_a_file_that_was_fetched_and_is_gone_is_partial(cache: Path) -> None:
    """The tokenizer is named by no index: what was fetched is on record."""
    (hub_cache_layout.folder(cache, LLAVA) / "snapshots" / COMMIT / "tokenizer.model").unlink()

    assert look(cache) == ("partial", "tokenizer.model: is declared and not there")


def test_another_commit_than_the_locks_is_foreign(cache: Path) -> None:
    assert look(cache, locked=LockedRepo(LLAVA, "f" * 40))[0] == "foreign"


def test_what_is_not_there_is_absent_and_what_was_begun_is_partial(cache: Path) -> None:
    assert look(cache, locked=LockedRepo("org/name"))[0] == "absent"
    begun = hub_cache_layout.folder(cache, "org/name") / "blobs" / "a.part"
    begun.parent.mkdir(parents=True)
    begun.touch()
    assert look(cache, locked=LockedRepo("org/name")) == ("partial", "blobs/a.part is unfinished")


def test_a_model_that_is_not_whole_is_refused_before_it_is_loaded(cache: Path) -> None:
    cut_tail(blob(cache, SHARD))

    with pytest.raises(InputRefused, match=SHARD) as caught:
        weight_files.require_whole(hub_cache_layout.folder(cache, LLAVA) / "snapshots" / COMMIT, repo=LLAVA)

    assert "vldock fetch weights" in str(caught.value.hint)


def check(*words: object) -> int:
    return invoke(cli.cli, ["check", *(str(word) for word in words)])


def test_data_is_complete_partial_corrupt_foreign_or_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["POPE", "MMStar", "BLINK", "MME"]
    locks = write_locks(tmp_path / "locks", endpoint="http://h", tables={name: table(name) for name in names})
    (tmp_path / "POPE.tsv").write_bytes(table("POPE"))
    (tmp_path / "MMStar.tsv").write_bytes(table("POPE"))
    (tmp_path / "BLINK.tsv.part").write_bytes(b"begun")
    (tmp_path / "Mine.tsv").touch()
    (tmp_path / "POPE_local.tsv").touch()

    assert check("data", *names, "--data", tmp_path, "--locks", locks, "--json") == 4

    told = {item["name"]: item["state"] for item in json.loads(capsys.readouterr().out)["items"]}
    assert told == {
        "POPE": "complete",
        "MMStar": "corrupt",
        "BLINK": "partial",
        "MME": "absent",
        "Mine": "foreign",
    }
    assert check("data", "POPE", "--data", tmp_path, "--locks", locks) == 0


def test_the_table_names_what_is_wrong_and_the_command_that_cures_it(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locks = write_locks(tmp_path / "locks", endpoint="http://h", tables={}, revision=COMMIT)
    cut_tail(blob(cache, SHARD))

    assert check("weights", "llava_v1.5_7b", "--cache", cache.parent, "--locks", locks) == 4

    captured = capsys.readouterr()
    assert SHARD in captured.out
    assert f"hint: vldock fetch weights {LLAVA} --cache" in captured.err


def test_a_cut_blob_is_fetched_anew_though_its_name_is_right(cache: Path) -> None:
    """What a check finds, a fetch mends: the blob is discarded and asked for again."""
    path = blob(cache, SHARD)
    declared = ExpectedFile(size=path.stat().st_size, sha256=path.name)
    cut_tail(path)
    item = FileRequest(SHARD, LLAVA, "http://h", path, declared, replace=True)

    assert check_existing(item, listener=NoProgress(), quick=True) is None
    assert not path.exists()
