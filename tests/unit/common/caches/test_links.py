"""Links of a cache root: every layout shows every repository, and nothing of the user's is moved or lost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir
from support.paths import ROOT

from vldock.common.caches import links

FLAT, HUB, TRANSFORMERS = "huggingface", "huggingface/hub", "huggingface/transformers"


def put(folder: Path, name: str = "models--o--n") -> Path:
    """Write a whole repository into a hub cache."""
    commit = folder / name / "snapshots" / ("a" * 40)
    commit.mkdir(parents=True)
    (folder / name / "refs").mkdir()
    (folder / name / "refs/main").write_text("a" * 40)
    (commit / "config.json").write_text("{}")
    return folder / name


@pytest.mark.parametrize("where", [FLAT, HUB, TRANSFORMERS])
@pytest.mark.parametrize("before", [True, False], ids=["filled before", "filled after"])
def test_a_model_in_one_layout_is_in_all(tmp_path: Path, where: str, before: bool) -> None:
    if before:
        put(tmp_path / where)
    links.join_layouts(tmp_path)
    if not before:
        put(tmp_path / where)

    seen = {view: [one.repo_id for one in scan_cache_dir(tmp_path / view).repos] for view in (FLAT, HUB, TRANSFORMERS)}

    assert seen == {FLAT: ["o/n"], HUB: ["o/n"], TRANSFORMERS: ["o/n"]}


def test_two_real_layouts_show_what_either_holds_and_keep_their_own(tmp_path: Path) -> None:
    mine, other = put(tmp_path / HUB), put(tmp_path / FLAT, "models--o--flat")

    links.join_layouts(tmp_path)

    assert [path.is_symlink() for path in (mine, other)] == [False, False]
    assert links.list_repositories(tmp_path / HUB) == links.list_repositories(tmp_path / FLAT)


@pytest.mark.parametrize("where", ["datasets", "huggingface/datasets"])
def test_data_sets_are_found_at_both_places(tmp_path: Path, where: str) -> None:
    (tmp_path / where / "o___n").mkdir(parents=True)

    links.join_layouts(tmp_path)

    assert all((tmp_path / place / "o___n").is_dir() for place in ("datasets", "huggingface/datasets"))


def test_two_real_folders_of_data_sets_show_what_either_holds(tmp_path: Path) -> None:
    (tmp_path / "datasets/o___a").mkdir(parents=True)
    (tmp_path / "huggingface/datasets/o___b").mkdir(parents=True)

    links.join_layouts(tmp_path)

    assert {path.name for path in (tmp_path / "datasets").iterdir()} == {"o___a", "o___b"}
    assert {path.name for path in (tmp_path / "huggingface/datasets").iterdir()} == {"o___a", "o___b"}


def test_transformers_finds_the_version_of_a_cache_in_each_layout(tmp_path: Path) -> None:
    put(tmp_path / HUB)

    links.join_layouts(tmp_path)

    assert {(tmp_path / view / "version.txt").read_text() for view in (FLAT, HUB, TRANSFORMERS)} == {"1"}


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path / HUB)
    links.join_layouts(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    links.join_layouts(tmp_path)

    assert sorted(tmp_path.rglob("*")) == before


def test_our_link_to_a_model_that_is_gone_goes_and_the_user_s_own_stays(tmp_path: Path) -> None:
    gone = put(tmp_path / HUB)
    (tmp_path / "huggingface/models--my--link").symlink_to("/not/mounted/here")
    links.join_layouts(tmp_path)
    gone.rename(tmp_path / "elsewhere")

    links.join_layouts(tmp_path)

    assert not (tmp_path / "huggingface/models--o--n").is_symlink()
    assert (tmp_path / "huggingface/models--my--link").is_symlink()


def test_a_cache_that_cannot_be_linked_has_the_view_that_shows_all(tmp_path: Path) -> None:
    put(tmp_path / HUB)
    home = tmp_path / FLAT

    assert links.find_view(home, home) == tmp_path / HUB
    put(home, "models--o--flat")
    assert links.find_view(home, home) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_cache_closed_to_this_user_is_left_to_the_check_of_folders() -> None:
    with tempfile.TemporaryDirectory() as folder:  # mode 700, root's
        code = f"""
import os, sys; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from vldock.common.caches import links
os.setgid(54321); os.setuid(54321)
links.join_layouts(Path({folder!r}))
print(links.find_view(Path({folder!r}), Path({folder!r})))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr) == (f"{folder}\n", "")
