"""sha256 of files: small ones are read each time, large ones once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vldock.common import hashing
from vldock.image.weights import file_hashes


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "modeling.py"
    path.write_text("A = 1")
    return path


def test_a_small_file_edited_within_its_size_and_time_has_another_sha256(file: Path) -> None:
    before, status = file_hashes.sha256_of([file])[file], file.stat()
    file.write_text("A = 2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert file_hashes.sha256_of([file])[file] == hashing.sha256_file(file) != before


def test_a_large_file_is_read_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_hashes, "SMALL_BYTES", 0)
    first = file_hashes.sha256_of([file])
    monkeypatch.setattr(hashing, "sha256_file", lambda path: pytest.fail(f"{path} is read again"))

    assert file_hashes.sha256_of([file]) == first
