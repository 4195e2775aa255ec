"""A build of features: only what is missing, broken pictures by row, on two ranks, stopped and continued."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from feature_fixture import TOWER, Mean, Small, built, draw, forked
from PIL import Image

from vldock.common.errors import InputRefused, UsageError
from vldock.image.__main__ import main
from vldock.image.features import build, fsck, lookup, picture_rows, shards, torchrun_store, towers
from vldock.image.features.cache import FeatureCache
from vldock.image.features.model_choice import ModelChoice, open_model
from vldock.image.features.picture_loader import LoaderOptions
from vldock.image.features.space import Entry
from vldock.image.standin import ASSETS


@pytest.fixture
def pictures(tmp_path: Path) -> list[picture_rows.ImageRow]:
    return draw(tmp_path / "pictures")


def test_a_build_stores_what_the_model_says(pictures: list[picture_rows.ImageRow], tmp_path: Path) -> None:
    model = Mean()
    done = built(pictures, tmp_path / "cache", model)

    with FeatureCache(tmp_path / "cache", done.space) as cache:
        found = [one.features for one in map(lookup.CachedPictures(pictures, cache).__getitem__, range(7))]
        fresh = [build.encode([Small()(Image.open(row.path))], model)[0].half() for row in pictures]
    assert (done.computed, done.kept) == (7, 0)
    assert all(torch.equal(one, other) for one, other in zip(found, fresh, strict=True))


def test_a_second_build_computes_nothing_and_a_changed_picture_only_itself(
    pictures: list[picture_rows.ImageRow], tmp_path: Path
) -> None:
    built(pictures, tmp_path / "cache", first := Mean())
    again = built(pictures, tmp_path / "cache", second := Mean())
    Image.new("RGB", (9, 9), "teal").save(pictures[3].path)
    changed = built(pictures, tmp_path / "cache", third := Mean())

    assert (first.seen, second.seen, third.seen) == (7, 0, 1)
    assert (again.kept, changed.kept) == (7, 6)


def test_broken_pictures_are_named_by_row_and_nothing_is_computed(
    pictures: list[picture_rows.ImageRow], tmp_path: Path
) -> None:
    pictures[1].path.write_bytes(b"")
    pictures[4].path.write_bytes(pictures[5].path.read_bytes()[:200])
    pictures[6].path.unlink()

    with pytest.raises(InputRefused) as refused:
        built(pictures, tmp_path / "cache", model := Mean())

    assert [f"row {index} " in refused.value.message for index in range(7)] == [
        index in (1, 4, 6) for index in range(7)
    ]
    assert model.seen == 0


def test_broken_pictures_are_skipped_where_asked(pictures: list[picture_rows.ImageRow], tmp_path: Path) -> None:
    pictures[1].path.write_bytes(b"no picture")

    done = built(pictures, tmp_path / "cache", Mean(), broken="skip")

    assert (done.computed, len(done.broken)) == (6, 1)
    assert "row 1 " in done.broken[0]


def test_a_limit_below_the_data_set_is_refused_before_it_eats_itself(
    pictures: list[picture_rows.ImageRow], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="7 rows take"):
        built(pictures, tmp_path / "cache", Mean(), limit=10)


def test_two_ranks_share_a_build(pictures: list[picture_rows.ImageRow], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    parts = [forked(_rank, rank, port, pictures, tmp_path) for rank in (0, 1)]
    for one in parts:
        one.join()

    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert [one.exitcode for one in parts] == [0, 0]
    assert told == [{"computed": 7, "seen": 4}, {"computed": 7, "seen": 3}]
    assert fsck.check(tmp_path / "cache").rows == 7


def put_until_a_shard_is_there(
    cache: FeatureCache, entry: Entry, tensor: torch.Tensor, put: Any = FeatureCache.put
) -> Any:
    """Put a row; wait for a signal where there is a shard already."""
    while any(shards.find_shards(cache.root)):
        time.sleep(0.1)
    return put(cache, entry, tensor)


def test_ctrl_c_says_one_line_and_the_same_command_continues(
    pictures: list[picture_rows.ImageRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["features", "build", "--model", str(TOWER), "--images", str(pictures[0].path.parent)]
    command += ["--cache", str(tmp_path / "cache"), "--rows-per-shard", "1", "--batch-size", "1", "--num-workers", "1"]
    towers.open_tower(str(TOWER))[0].encode(torch.zeros(1, 3, 336, 336))  # what is imported now is not in the fork
    with monkeypatch.context() as first_only:
        first_only.setattr(FeatureCache, "put", put_until_a_shard_is_there)
        first = forked(_command, command, tmp_path / "first")
    while first.is_alive() and not list(shards.find_shards(tmp_path / "cache")):
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGINT)
    first.join()
    stopped = fsck.check(tmp_path / "cache")
    second = forked(_command, command, tmp_path / "second")
    second.join()

    said = (tmp_path / "first").read_text()
    assert (first.exitcode, said.count("the same command continues"), "Traceback" in said) == (130, 1, False)
    assert stopped.clean
    assert stopped.rows == 1
    assert (second.exitcode, fsck.check(tmp_path / "cache").rows) == (0, 7)


def _rank(rank: int, port: int, pictures: list[picture_rows.ImageRow], folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with torchrun_store.join():
        done = built(pictures, folder / "cache", model := Mean())
    (folder / f"{rank}.json").write_text(json.dumps({"computed": done.computed, "seen": model.seen}))


def _command(arguments: list[str], log: Path) -> None:
    sys.stdout = sys.stderr = log.open("w", encoding="utf-8", buffering=1)
    sys.exit(main(arguments))


def test_for_an_evaluation_a_dtype_is_refused_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["features", "build", "--model", str(TOWER), "--images", str(ASSETS)]

    status = main([*command, "--for-evaluation", "--dtype", "float16"])

    assert status == 2
    assert "VLDOCK_DTYPE" in capsys.readouterr().err


def test_for_an_evaluation_nothing_is_rounded_and_every_picture_is_alone(
    pictures: list[picture_rows.ImageRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    command = ["features", "build", "--model", str(TOWER), "--images", str(pictures[0].path.parent)]
    done = forked(_command, [*command, "--cache", str(tmp_path / "cache"), "--for-evaluation"], tmp_path / "said")
    done.join()

    (shard,) = [shards.read_header(path) for path in shards.find_shards(tmp_path / "cache")]
    tower, processor = towers.open_tower(str(TOWER), device="cpu", for_evaluation=True)
    pixels = processor(picture_rows.decode(pictures[3].path.read_bytes()))
    with FeatureCache(tmp_path / "cache", shard.space) as cache:
        found = lookup.CachedPictures(pictures, cache)[3].features
    assert (done.exitcode, shard.space.dtype) == (0, "float32")
    assert shard.space.computed.endswith("one at a time")
    assert torch.equal(found, tower.encode(pixels[None])[0])


def test_resized_pictures_are_another_space_and_other_features(
    pictures: list[picture_rows.ImageRow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["features", "build", "--model", str(TOWER), "--images", str(pictures[0].path.parent)]
    command += ["--cache", str(tmp_path / "cache"), "--as-json"]

    said = []
    for words in ([], ["--resize", "36x64"], ["--resize", "64x36"], ["--resize", "36x64"]):
        assert main([*command, *words]) == 0
        said.append(json.loads(capsys.readouterr().out))

    tower, processor = towers.open_tower(str(TOWER))
    resized = Image.open(pictures[2].path).resize((64, 36), Image.Resampling.BICUBIC)
    model, wanted = open_model(ModelChoice(str(TOWER), resize="36x64"))
    with FeatureCache(tmp_path / "cache", towers.space_of(model, wanted)) as cache:
        found = lookup.CachedPictures(pictures, cache)[2].features
    assert [one["computed"] for one in said] == [7, 7, 7, 0]
    assert torch.equal(found, tower.encode(processor(resized)[None])[0].half())


@pytest.mark.parametrize("size", ["360", "0x640", "360x", "360X640", "-1x5"])
def test_a_size_that_is_none_is_refused(size: str, pictures: list[picture_rows.ImageRow]) -> None:
    command = ["features", "build", "--model", str(TOWER), "--images", str(pictures[0].path.parent)]

    assert main([*command, f"--resize={size}"]) == 2


def test_pixels_of_workers_need_no_shared_memory(
    pictures: list[picture_rows.ImageRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ForkingPickler, "_extra_reducers", {torch.Tensor: lambda tensor: os._exit(9)})

    done = built(pictures, tmp_path / "cache", Mean(), loader=LoaderOptions(2, num_workers=2))

    assert done.computed == 7
