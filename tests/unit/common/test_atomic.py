"""Atomic writes: the old file or the new one, whole, and nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vldock.common.filesystem import atomic


def test_a_file_takes_its_place_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "below" / "a"

    with atomic.write_atomically(path) as stream:
        stream.write(b"new")
        assert not path.exists()

    assert [item.name for item in path.parent.iterdir()] == ["a"]
    assert path.read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    with pytest.raises(TypeError), atomic.write_atomically(path) as stream:
        stream.writelines([b"half", None])  # type: ignore[list-item]

    assert [item.read_bytes() for item in tmp_path.iterdir()] == [b"old"]


def test_a_text_gets_no_newline_and_a_json_gets_one(tmp_path: Path) -> None:
    assert atomic.write_text(tmp_path / "ref", "ä").read_bytes() == "ä".encode()
    assert atomic.write_json(tmp_path / "a.json", {"a": "ä"}).read_text(encoding="utf-8") == '{\n  "a": "ä"\n}\n'


def test_a_mode_is_kept_whatever_the_umask(tmp_path: Path) -> None:
    path = atomic.write_bytes(tmp_path / "a", b"", mode=0o666)

    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_the_name_beside_is_hidden_and_ends_as_asked(tmp_path: Path) -> None:
    with atomic.write_atomically(tmp_path / "main", suffix=".part"):
        (name,) = (item.name for item in tmp_path.iterdir())

    assert name.startswith(".main.")
    assert name.endswith(".part")
