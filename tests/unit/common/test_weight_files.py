"""Faults of one file of a snapshot, found by its head and tail."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from support.tiny_weights import safetensors, torch_archive

from vldock.common import weight_files


def test_an_archive_that_lost_bytes_in_front_is_found(tmp_path: Path) -> None:
    whole = torch_archive()
    (tmp_path / "a.bin").write_bytes(whole[:40] + whole[50:])

    assert "lost bytes" in str(weight_files.file_fault("a.bin", tmp_path / "a.bin"))


def test_a_tokenizer_alone_is_whole_where_nothing_else_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")

    assert weight_files.find_faults(tmp_path, need_weights=False) == ()
    assert [fault.file for fault in weight_files.find_faults(tmp_path)] == ["weights"]


def test_the_legacy_format_of_torch_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "old.bin").write_bytes(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")

    assert weight_files.file_fault("old.bin", tmp_path / "old.bin") is None


@pytest.mark.parametrize("length", [0, 1, 1 << 40])
def test_a_header_of_no_sane_length_is_told(tmp_path: Path, length: int) -> None:
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + safetensors()[8:])

    assert "is no safetensors file" in str(weight_files.file_fault("a.safetensors", tmp_path / "a.safetensors"))
