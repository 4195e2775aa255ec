"""Digests of files and trees, and names of blobs by their content."""

from __future__ import annotations

from pathlib import Path

from support.fake_hub import git_id

from vldock.common import hashing, hub_cache_layout


def test_a_git_id_is_gits_own(tmp_path: Path) -> None:
    """`printf hello | git hash-object --stdin`."""
    (tmp_path / "a").write_bytes(b"hello")

    assert git_id(b"hello") == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"
    assert hub_cache_layout.content_name(tmp_path / "a", "0" * 40) == "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"


def test_files_are_hashed_as_the_tools_of_their_name_do(tmp_path: Path) -> None:
    """`printf hello | sha256sum`, `... | md5sum`."""
    (tmp_path / "a").write_bytes(b"hello")

    assert hashing.sha256_file(tmp_path / "a") == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert hashing.md5_file(tmp_path / "a") == "5d41402abc4b2a76b9719d911017c592"


def test_a_tree_is_its_paths_and_contents(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for path in files:
        path.write_bytes(b"x")
    before = hashing.tree_sha256(files, tmp_path)

    assert hashing.tree_sha256(files[::-1], tmp_path) != before
    files[1].rename(tmp_path / "c")
    assert hashing.tree_sha256([files[0], tmp_path / "c"], tmp_path) != before
