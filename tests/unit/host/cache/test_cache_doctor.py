"""`vldock cache doctor`: network file systems, owners, modes, room, leftovers."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.hub_cache_builder import add_repo

from vldock.common.filesystem.permissions import Identity
from vldock.host.cache import checkup, filesystem, locations
from vldock.host.cache import permissions as cache_permissions
from vldock.host.cache.filesystem import MountPoint, find_mount
from vldock.host.cli import main as cli
from vldock.host.cli.main import invoke

ME = Identity(os.geteuid(), os.getegid(), None)
USER = Identity(1000, 1000, None)
NETWORK = ["nfs", "nfs4", "lustre", "gpfs", "cifs", "beegfs", "fuse.sshfs", "fuse.gcsfuse"]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    add_repo(tmp_path / "cache")
    return tmp_path / "cache"


@pytest.mark.parametrize("kind", NETWORK)
def test_a_network_file_system_is_named_with_what_is_unsafe_there(kind: str, tmp_path: Path) -> None:
    check = checkup.check_mount(tmp_path, MountPoint("/", kind))

    assert check.status == "warn"
    assert f"{kind} at /, a network file system" in check.seen
    assert "link" in check.seen or "lock" in check.seen
    assert "one machine at a time" in (check.hint or "")


@pytest.mark.parametrize(("kind", "state"), [("ext4", "ok"), ("xfs", "ok"), ("tmpfs", "warn"), ("overlay", "warn")])
def test_a_local_disk_is_fit_and_what_is_lost_is_told(kind: str, state: str, tmp_path: Path) -> None:
    assert checkup.check_mount(tmp_path, MountPoint("/", kind)).status == state


def test_lustre_mounted_with_flock_is_told_apart() -> None:
    assert "locks hold" in MountPoint("/l", "lustre", frozenset({"rw", "flock"})).describe()
    assert "locks hold" not in MountPoint("/l", "lustre", frozenset({"rw", "localflock"})).describe()


def test_nfs_without_locks_is_told() -> None:
    assert "do not see each other's locks" in MountPoint("/n", "nfs4", frozenset({"nolock"})).describe()


def test_the_deepest_mount_is_the_one_and_a_later_one_hides_it() -> None:
    known = [MountPoint("/", "ext4"), MountPoint("/data", "nfs4"), MountPoint("/data", "xfs"), MountPoint("/da", "9p")]

    assert find_mount(Path("/data/cache"), known) == MountPoint("/data", "xfs")
    assert find_mount(Path("/home"), known) == MountPoint("/", "ext4")


def test_this_machine_s_own_mounts_are_known(tmp_path: Path) -> None:
    assert find_mount(tmp_path, filesystem.list_mounts()) is not None


def test_the_trial_finds_a_working_disk_and_leaves_nothing(tmp_path: Path) -> None:
    assert set(filesystem.try_operations(tmp_path).values()) == {None}
    assert list(tmp_path.iterdir()) == []


def test_a_flock_that_does_nothing_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem.fcntl, "flock", lambda *_: None)

    assert "two holders at once" in (filesystem.try_operations(tmp_path)["flock"] or "")


def test_hard_links_that_are_refused_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    check = checkup.check_trial(tmp_path)

    assert (check.status, "hard links: Invalid cross-device link" in check.seen) == ("warn", True)


def state(uid: int, gid: int, mode: int) -> Any:
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("seen", "wanted", "may"),
    [
        (state(1000, 0, 0o100600), 4, True),
        (state(0, 0, 0o100600), 4, False),
        (state(0, 1000, 0o100640), 4, True),
        (state(0, 0, 0o100644), 4, True),
        (state(0, 1000, 0o040750), 7, False),
        (state(1000, 1000, 0o040500), 7, False),
    ],
    ids=["own", "root's", "group's", "everybody's", "group's folder, not writable", "own folder, read-only"],
)
def test_a_mode_is_read_as_the_kernel_does(seen: Any, wanted: int, may: bool) -> None:
    assert cache_permissions.allows(seen, 1000, {1000}, wanted) is may


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another's files")
def test_another_s_files_are_counted_and_the_one_command_mends_them(tmp_path: Path) -> None:
    root = tmp_path / "it's a cache"
    add_repo(root)
    os.chown(root, 1000, 1000)
    for path in (path for path in root.rglob("blobs/*")):
        path.chmod(0o600)

    (before,) = checkup.check_access(root, USER)
    assert before.hint is not None
    subprocess.run(shlex.split(before.hint)[1:], check=True)  # without sudo: this is root
    (after,) = checkup.check_access(root, USER)

    assert (before.status, after.status) == ("fail", "ok")
    assert before.hint.startswith("sudo sh -c")
    assert "of other owners" in before.seen


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make another's files")
def test_own_files_that_are_closed_need_no_sudo(cache: Path) -> None:
    for path in (cache, *cache.rglob("*")):
        os.chown(path, 1000, 1000, follow_symlinks=False)
    (cache / "models--liuhaotian--llava-v1.5-7b").chmod(0o500)

    (check,) = checkup.check_access(cache, USER)

    assert (check.status, check.hint) == ("fail", f"chmod -R u+rwX {cache}")


def test_files_anybody_may_write_are_a_warning_with_its_cure(cache: Path) -> None:
    (blob,) = cache.rglob("blobs/*")
    blob.chmod(0o666)

    (check,) = checkup.check_access(cache, ME)

    assert (check.status, check.hint) == ("warn", f"chmod -R o-w {cache}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root asks for another")
def test_root_asks_for_the_folder_s_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1235)

    assert cache_permissions.intended_user(tmp_path)[:2] == (1234, 1235)
    assert cache_permissions.intended_user(tmp_path, "5:6")[:2] == (5, 6)


def test_too_little_room_for_the_weights_is_told_with_what_is_to_come(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10**9})
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _: usage)

    check = checkup.check_room(locations.find(cache=cache))

    assert check.status == "warn"
    assert "llava_v1.5_13b to come: 26.10 GB" in check.seen  # the 7B model is there


def test_leftovers_and_torn_links_are_told_apart(cache: Path) -> None:
    (cache / "x.part").write_bytes(b"half")
    (link,) = cache.rglob("snapshots/*/config.json")
    link.resolve().unlink()

    checks = checkup.check_flaws(locations.find(cache=cache))

    assert [check.name for check in checks] == ["torn", "leftovers"]
    assert checks[1].hint == "vldock cache prune"


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--user", "somebody"], 2)])
def test_the_command_s_exit_code(cache: Path, words: list[str], code: int) -> None:
    assert invoke(cli.cli, ["cache", "doctor", "--cache", str(cache), *words]) == code
