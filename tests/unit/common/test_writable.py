"""Reasons why a folder cannot be written, and the remedies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vldock.common.errors import EnvironmentUnfit
from vldock.common.filesystem import permissions
from vldock.common.filesystem.permissions import Identity

WHO = Identity(12345, 0, None)


def test_looking_creates_nothing(tmp_path: Path) -> None:
    assert permissions.can_write(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    assert not permissions.can_write(tmp_path / "a" / "b")
    assert permissions.why_unwritable(tmp_path / "a" / "b", WHO) == f"{tmp_path}/a is not a folder"


def test_the_reason_names_owner_mode_and_the_user_seen(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    reason = permissions.why_unwritable(tmp_path / "absent", WHO)

    assert reason == f"{tmp_path} belongs to {os.getuid()}:{os.getgid()} (mode 755), this is 12345:0"


def test_what_is_not_mounted_is_cured_by_a_mount(tmp_path: Path) -> None:
    assert permissions.writable_hint(tmp_path, WHO) == f'mount a folder you own: -v "$PWD/{tmp_path.name}:{tmp_path}"'


def test_a_mount_of_root_is_cured_by_chown_and_not_by_becoming_root() -> None:
    hint = permissions.writable_hint(Path("/proc"), WHO)

    assert hint == "on the host, sudo chown -R 12345:0 the folder mounted at /proc"


def test_a_mount_of_another_user_is_cured_by_becoming_that_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.chown(tmp_path, 1000, 100) if os.geteuid() == 0 else None
    monkeypatch.setattr(Path, "is_mount", lambda path: True)

    hint = permissions.writable_hint(tmp_path, WHO)

    assert hint.endswith(f"--user {tmp_path.stat().st_uid}:{tmp_path.stat().st_gid}")


def test_a_private_folder_is_for_its_user_only(tmp_path: Path) -> None:
    me = Identity(os.geteuid(), os.getegid(), None)

    folder = permissions.private_folder({"TMPDIR": str(tmp_path)}, me, "cache")

    assert folder.stat().st_mode & 0o777 == 0o700
    assert permissions.private_folder({"TMPDIR": str(tmp_path)}, me, "cache") == folder


def test_where_nothing_can_be_written_the_cure_is_a_tmpfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)

    with pytest.raises(EnvironmentUnfit, match="nothing can be written") as refusal:
        permissions.temporary_root({}, WHO)

    assert refusal.value.hint == "add --tmpfs /tmp to docker run"


def test_what_cannot_be_read_is_named_with_its_owner_and_what_opens_it(tmp_path: Path) -> None:
    (tmp_path / "POPE.tsv").touch(mode=0o600)
    (tmp_path / "face.tsv").symlink_to("POPE.tsv")

    error = permissions.read_error(tmp_path / "face.tsv", WHO)

    assert error.message.startswith(f"{tmp_path}/POPE.tsv belongs to {os.getuid()}:{os.getgid()} (mode 600)")
    assert f"--user {os.getuid()}:{os.getgid()}" in (error.hint or "")


def test_an_absent_folder_is_not_shut(tmp_path: Path) -> None:
    assert not permissions.is_unreadable(tmp_path / "absent")
