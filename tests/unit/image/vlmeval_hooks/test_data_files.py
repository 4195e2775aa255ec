"""Samples, benchmark files and folders of a patched run, without torch and vlmeval."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from vldock.common.errors import EnvironmentUnfit, InputRefused, UsageError
from vldock.common.tables import editions
from vldock.image.startup.data_root import lmu_data_root
from vldock.image.vlmeval_hooks.files import (
    download,
    image_paths,
    lmudata,
    local_copy,
    output_folder,
    text_changes,
    tsv,
)
from vldock.image.vlmeval_hooks.process import error_lines
from vldock.image.vlmeval_hooks.run import sample_limit


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.mark.parametrize(("asked", "text", "limit"), [(None, "", None), (None, "10", 10), (3, "10", 3), (3, "", 3)])
def test_the_limit_is_the_options_then_the_variables_then_none(asked: int | None, text: str, limit: int | None) -> None:
    assert sample_limit.resolve(asked, {sample_limit.VARIABLE: text}) == limit


@pytest.mark.parametrize("text", ["0", "-1", "ten", "1.5", "1e3", "٣"])
def test_a_limit_that_is_no_positive_integer_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=sample_limit.VARIABLE):
        sample_limit.resolve(None, {sample_limit.VARIABLE: text})


def test_lmudata_unset_is_the_workspace_and_never_home() -> None:
    assert str(lmu_data_root({"HOME": "/home/user"})) == "/workspace/LMUData"


def test_lmudata_that_is_missing_is_made(tmp_path: Path) -> None:
    assert lmudata.require_writable(tmp_path / "a" / "b").is_dir()


def test_lmudata_that_cannot_be_made_says_which_mount_to_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentUnfit, match="cannot be made") as error:
        lmudata.require_writable(tmp_path / "file" / "LMUData")

    assert "-v HOST_FOLDER:" in str(error.value.hint)


@pytest.mark.parametrize(
    ("env", "folder"),
    [
        ({}, "/workspace/outputs"),
        ({"VLDOCK_OUTPUTS": "/out"}, "/out"),
        ({"VLDOCK_STANDIN": "1"}, "/workspace/outputs/STAND-IN"),
        ({"VLDOCK_STANDIN": "0"}, "/workspace/outputs"),
    ],
)
def test_results_go_to_outputs_and_those_of_stand_ins_apart(env: dict[str, str], folder: str) -> None:
    assert output_folder.default_work_dir(env) == folder


def test_pred_root_is_the_callers_and_marked_for_stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLDOCK_STANDIN", "1")

    folder = output_folder.make_pred_root(SimpleNamespace(work_dir="/nowhere", pred_root=tmp_path / "cell"), "llava")

    assert folder == str(tmp_path / "cell")
    assert "No number here is a score" in (tmp_path / "cell" / "STAND-IN.txt").read_text()


def test_a_file_of_the_declared_md5_is_taken(tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").write_text("rows")

    tsv.ensure("POPE", "https://example.org/POPE.tsv", md5("rows"), tmp_path)


def test_a_file_of_another_md5_is_refused_with_both_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").write_text("mine")

    with pytest.raises(InputRefused) as refused:
        tsv.ensure("POPE", "https://example.org/POPE.tsv", md5("rows"), tmp_path)

    report = refused.value.render()
    assert all(part in report for part in (md5("mine"), md5("rows"), f"VLDOCK_ACCEPT_MD5=POPE={md5('mine')}"))
    assert (tmp_path / "POPE.tsv").read_text() == "mine"


def test_a_file_accepted_by_its_md5_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "POPE.tsv").write_text("mine")
    monkeypatch.setenv(editions.ACCEPT, f"POPE={md5('mine')}")

    tsv.ensure("POPE", "https://example.org/POPE.tsv", md5("rows"), tmp_path)


@pytest.mark.usefixtures("offline")
def test_a_missing_file_offline_is_named_with_how_to_provide_it(tmp_path: Path) -> None:
    with pytest.raises(InputRefused) as refused:
        tsv.ensure("POPE", "https://example.org/POPE.tsv", md5("rows"), tmp_path)

    line = error_lines.one_line(refused.value)
    assert line.startswith(f"{tmp_path}/POPE.tsv does not exist and HF_HUB_OFFLINE=1; put it there")


@pytest.mark.usefixtures("offline")
def test_a_file_missing_behind_a_face_is_asked_for_at_the_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLDOCK_DATA_MOUNT", "/workspace/LMUData")

    with pytest.raises(InputRefused, match=r"^/workspace/LMUData/POPE.tsv does not exist") as refused:
        tsv.ensure("POPE", "https://example.org/POPE.tsv", md5("rows"), tmp_path / "vldock-lmudata-12345")

    assert "-v HOST_FOLDER:/workspace/LMUData)" in str(refused.value.hint)


def test_a_download_of_the_wrong_bytes_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "offline_reason", lambda: None)
    monkeypatch.setattr(download, "_stream", lambda _url, aside, _progress: aside.write_text("other"))

    with pytest.raises(InputRefused, match=md5("other")):
        download.retrieve("https://example.org/POPE.tsv", tmp_path / "POPE.tsv", md5=md5("rows"))
    assert list(tmp_path.iterdir()) == []


def test_images_of_another_file_are_another_folder(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a")
    (tmp_path / "b.tsv").write_text("b")

    folders = {tsv.image_root("/images/MMBench", str(tmp_path / name)) for name in ("a.tsv", "b.tsv")}

    assert folders == {f"/images/MMBench-{md5(text)[:8]}" for text in "ab"}


def test_a_large_files_copy_and_images_go_when_the_file_is_newer(tmp_path: Path) -> None:
    local, images = tmp_path / "Big_local.tsv", tmp_path / "images" / "Big"
    local.write_text("old")
    os.utime(local, (1, 1))
    images.mkdir(parents=True)
    (tmp_path / "Big.tsv").write_text("new")

    tsv.ensure("Big", "https://example.org/Big.tsv", None, tmp_path)

    assert not local.exists()
    assert not images.exists()
    assert len(list(images.parent.glob("Big-until-*"))) == 1


@pytest.mark.parametrize(("upstream", "marked", "kept"), [("", True, True), ("", False, False), ("1", False, True)])
def test_a_local_copy_made_of_upstreams_reading_is_made_anew(
    upstream: str, marked: bool, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_copy, "COPIED_FROM", 3)
    monkeypatch.setenv(text_changes.VARIABLE, upstream)
    for name in ("Big.tsv", "Big_local.tsv", *([".Big_local.as-written"] if marked else [])):
        (tmp_path / name).write_text("rows")

    local_copy.drop_other_reading(tmp_path / "Big.tsv")

    assert (tmp_path / "Big_local.tsv").is_file() == kept
    assert (tmp_path / ".Big_local.as-written").is_file() == (not upstream)


def test_a_word_that_is_no_way_of_reading_is_refused() -> None:
    assert [text_changes.reads_as_upstream({text_changes.VARIABLE: value}) for value in ("1", "0", "")] == [
        True,
        False,
        False,
    ]
    with pytest.raises(UsageError, match="VLDOCK_UPSTREAM_MISSING=yes"):
        text_changes.reads_as_upstream({text_changes.VARIABLE: "yes"})


class Table(dict[str, list[object]]):
    """The part of a DataFrame that image_paths needs."""

    def __len__(self) -> int:
        return len(self["index"])


def test_pictures_that_share_a_path_are_kept_apart() -> None:
    table = Table(index=[1, 2, 3], image=["red", "blue", "red"], image_path=["p/x.png"] * 3)

    names = image_paths.resolve_cells(table, root=Path("/data"), folder="T", separate=True)
    written = [
        image_paths.dump_under_own_name(
            lambda line: line["image_path"], names, {"index": index, "image_path": "p/x.png"}
        )
        for index in (1, 2, 3)
    ]

    assert written == ["p/x.png", "p/2-x.png", "p/x.png"]
    assert table["image_path"] == ["p/x.png"] * 3  # benchmarks group rows by it


@pytest.mark.parametrize("name", ["../../../x.png", "a/../../x.png", "/x.png"])
def test_a_picture_is_never_written_outside_its_folder(name: str) -> None:
    table = Table(index=[1], image=["red"], image_path=[name])

    with pytest.raises(InputRefused, match="image_path of index 1"):
        image_paths.resolve_cells(table, root=Path("/data"), folder="T", separate=False)


def test_an_edit_that_kept_its_time_still_drops_the_copy_of_a_large_table(tmp_path: Path) -> None:
    path, local = tmp_path / "T.tsv", tmp_path / "T_local.tsv"
    path.write_text("old")
    local.write_text("copy")
    local_copy.record_source(path)
    path.write_text("new!")
    os.utime(path, ns=(0, 0))

    local_copy.drop_stale(path)

    assert not local.exists()
