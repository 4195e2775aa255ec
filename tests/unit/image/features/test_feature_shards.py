"""Files of the feature cache: keys, locks, the size limit, fsck; no torch needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from support.feature_shards import SPACE, image, shard

from vldock.common.cache_env import CACHE_ENV, variables_below
from vldock.host.cache import items as cache_items
from vldock.host.cache import locations
from vldock.image.__main__ import main
from vldock.image.features import cache, evict, file_locks, fsck, shards
from vldock.image.features.space import Space, prompt_hash

HOLD = """
import sys, time
from pathlib import Path
from vldock.image.features import file_locks as leases
lease = getattr(leases, sys.argv[1])(Path(sys.argv[2]))
print("held", flush=True)
time.sleep(3600)
"""


def holder(how: str, path: Path) -> subprocess.Popen[str]:
    """Return a process that holds a lease on `path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, how, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("part", [one.name for one in fields(Space)])
def test_another_part_is_another_key(part: str) -> None:
    other = replace(SPACE, **{part: "bfloat16"})

    assert other.key(image(0)) != SPACE.key(image(0))


def test_another_picture_or_prompt_is_another_key() -> None:
    keys = {SPACE.key(image(0)), SPACE.key(image(1)), SPACE.key(image(0), ""), SPACE.key(image(0), "what is it?")}

    assert len(keys) == 4


def test_a_shard_lies_where_its_name_says(tmp_path: Path) -> None:
    path = shard(tmp_path, first=64, prompt="what is it?")

    assert path.parent == tmp_path / prompt_hash("what is it?") / "flowers_vlm64"
    assert [row.vlm_idx for row in shards.read_header(path).rows] == [64, 65]


def test_vldock_cache_lists_a_data_set_of_features(tmp_path: Path) -> None:
    path = shard(tmp_path / "features")

    found = [item for item in cache_items.scan(locations.find(cache=tmp_path)) if item.kind == "features"]

    assert [(item.name, item.size) for item in found] == [("prompt-free/flowers_vlm0", path.stat().st_size)]


def test_the_root_is_declared_once_and_moves_with_the_caches() -> None:
    assert cache.default_root({}) == Path("/workspace/.cache/features")
    assert cache.default_root(variables_below("/elsewhere")) == Path("/elsewhere/features")
    assert CACHE_ENV["VLDOCK_FEATURES"] == str(cache.default_root({}))


def test_what_a_reader_holds_is_not_removed_until_it_dies(tmp_path: Path) -> None:
    path = shard(tmp_path)
    reader = holder("lock_shared", path)
    try:
        assert not evict.remove(path)
    finally:
        kill(reader)
    assert evict.remove(path)


def test_two_readers_share_a_lease(tmp_path: Path) -> None:
    path = shard(tmp_path)
    reader = holder("lock_shared", path)
    try:
        second = file_locks.lock_shared(path)
    finally:
        kill(reader)
    assert second is not None
    second.close()


def test_the_least_recently_used_goes_first_and_no_more_than_needed(tmp_path: Path) -> None:
    paths = [shard(tmp_path, first=2 * index, used=used) for index, used in enumerate((300.0, 100.0, 200.0))]
    size = paths[0].stat().st_size

    gone = evict.execute(evict.plan(tmp_path, limit=3 * size + 4, needed=size))

    assert [one.path for one in gone] == [paths[1]]
    assert paths[0].is_file()
    assert not paths[1].parent.exists()


def test_eviction_passes_over_what_is_held(tmp_path: Path) -> None:
    paths = [shard(tmp_path, first=2 * index, used=100.0 * index) for index in range(3)]
    lease = file_locks.lock_shared(paths[0])
    assert lease is not None
    with lease:
        gone = evict.execute(evict.plan(tmp_path, limit=2 * paths[0].stat().st_size + 4))

    assert [one.path for one in gone] == [paths[1]]


def test_a_use_is_noted(tmp_path: Path) -> None:
    path = shard(tmp_path, used=100.0)

    evict.touch([path])

    assert path.stat().st_mtime > 1e9


def test_an_unfinished_file_is_swept_when_its_writer_is_dead(tmp_path: Path) -> None:
    part = tmp_path / "prompt-free/flowers_vlm0/x.safetensors.part"
    part.parent.mkdir(parents=True)
    writer = holder("create", part)
    try:
        assert evict.sweep(tmp_path) == []
        assert [one.kind for one in fsck.check(tmp_path).findings] == ["in progress"]
    finally:
        kill(writer)
    assert [one.kind for one in fsck.check(tmp_path).findings] == ["unfinished"]
    assert evict.sweep(tmp_path) == [part]


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _other_tower(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"tttt", b"tttu", 1))


def _renamed(path: Path) -> None:
    path.rename(path.with_name("0" * 16 + "-1.safetensors"))


def _moved(path: Path) -> None:
    place = path.parents[2] / prompt_hash("another") / path.parent.name
    place.mkdir(parents=True)
    path.rename(place / path.name)


@pytest.mark.parametrize("damage", [_cut, _grow, _flip, _empty, _other_tower, _renamed, _moved])
def test_fsck_finds_a_damaged_shard_and_repair_removes_it(damage: object, tmp_path: Path) -> None:
    assert callable(damage)
    sound, path = shard(tmp_path, first=0), shard(tmp_path, first=2)
    damage(path)

    found = fsck.check(tmp_path)
    repaired = fsck.check(tmp_path, repair=True)

    assert (found.clean, [one.kind for one in found.findings]) == (False, ["damaged"])
    assert (repaired.clean, repaired.shards, fsck.check(tmp_path).findings) == (True, 1, ())
    assert sound.is_file()


def test_repair_leaves_a_damaged_shard_that_is_held_and_says_so(tmp_path: Path) -> None:
    path = shard(tmp_path)
    _cut(path)
    lease = file_locks.lock_shared(path)
    assert lease is not None
    with lease:
        report = fsck.check(tmp_path, repair=True)

    assert not report.clean
    assert path.is_file()


def test_a_foreign_file_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    report = fsck.check(tmp_path, repair=True)

    assert (report.clean, [one.kind for one in report.findings]) == (True, ["foreign"])
    assert (tmp_path / "notes.txt").is_file()


def test_the_commands_tell_what_is_there_check_it_and_shrink_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _flip(shard(tmp_path, first=0, prompt="what is it?"))
    shard(tmp_path, first=2)

    codes = [main(["features", *action.split(), "--cache", str(tmp_path)]) for action in
             ("ls", "fsck", "fsck --repair", "fsck", "evict --limit 0 --dry-run", "evict --limit 0")]  # fmt: skip

    assert codes == [0, 4, 0, 0, 0, 0]
    assert "prompt " + prompt_hash("what is it?") in capsys.readouterr().out
    assert list(shards.find_shards(tmp_path)) == []


def test_evict_says_when_what_is_left_is_in_use(tmp_path: Path) -> None:
    lease = file_locks.lock_shared(shard(tmp_path))
    assert lease is not None
    with lease:
        assert main(["features", "evict", "--limit", "0", "--cache", str(tmp_path)]) == 1


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", "ls", "--cache", str(tmp_path / "none")]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err
