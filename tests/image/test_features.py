"""The feature cache and its builder: what comes out is what went in, for this tower and no other."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import feature_writers
import pytest
import torch
from feature_writers import SPACE
from PIL import Image
from safetensors.torch import save_file

from vldock.common.errors import InputRefused, UsageError
from vldock.image.__main__ import main
from vldock.image.features import build, evict, file_locks, fsck, lookup, picture_rows, shards, torchrun_store, towers
from vldock.image.features.cache import FeatureCache
from vldock.image.features.processor import ClipProcessor
from vldock.image.features.space import Entry
from vldock.image.standin import ASSETS

CLIP = ASSETS / "huggingface/models--openai--clip-vit-large-patch14-336"
TOWER = CLIP / "snapshots" / (CLIP / "refs/main").read_text(encoding="ascii")


@dataclass
class Mean:
    """A model of the interface and nothing more: each picture's mean colour, and how many pictures it has seen."""

    identity: str = "mean"
    layer: str = "only"
    computed: str = "float32"
    seen: int = 0

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        return pixels.mean(dim=(2, 3)).unsqueeze(1) * torch.pi


@dataclass
class Small:
    """A processor: 8 pixels square, floats within 0..1."""

    side: int = 8

    def settings(self) -> str:
        return json.dumps({"side": self.side})

    def __call__(self, image: Image.Image) -> torch.Tensor:
        flat = torch.tensor(list(image.resize((self.side, self.side)).tobytes()), dtype=torch.float32)
        return flat.view(self.side, self.side, 3).permute(2, 0, 1) / 255


@pytest.fixture
def pictures(tmp_path: Path) -> list[picture_rows.ImageRow]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(7):
        Image.linear_gradient("L").rotate(31 * index).convert("RGB").save(folder / f"{index}.png")
    return picture_rows.from_folder(folder)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[FeatureCache]:
    (tmp_path / "cache").mkdir()
    with FeatureCache(tmp_path / "cache", SPACE, rows=2) as made:
        yield made


def put(cache: FeatureCache, *numbers: int) -> None:
    for number in numbers:
        cache.put(Entry("numbers", number, str(number)), feature_writers.expected(number))
    cache.flush()


def built(pictures: list[picture_rows.ImageRow], cache_dir: Path, model: Mean, **options: object) -> build.BuildResult:
    return build.build(pictures, vl_model=model, processor=Small(), cache_dir=cache_dir, rows_per_shard=3, **options)


def test_a_tensor_comes_back_bit_for_bit(cache: FeatureCache) -> None:
    tensor = torch.randn(5, 7).half()

    key = cache.put(Entry("numbers", 0, "a"), tensor)
    cache.flush()

    with FeatureCache(cache.root, SPACE) as other:
        assert torch.equal(other.get(key), tensor)


@pytest.mark.parametrize("part", ["tower", "preprocessing", "layer", "computed", "dtype"])
def test_another_tower_preprocessing_layer_or_dtype_is_a_miss(part: str, cache: FeatureCache) -> None:
    put(cache, 0)
    space = replace(SPACE, **{part: "bfloat16"})

    with FeatureCache(cache.root, space) as other:
        assert (other.get(space.key("0")), other.get(SPACE.key("0"))) == (None, None)


def test_another_prompt_is_a_miss(cache: FeatureCache) -> None:
    key = cache.put(Entry("numbers", 0, "a", "what is it?"), torch.ones(3))

    assert cache.get(key) is not None
    assert cache.get(SPACE.key("a", "where is it?")) is None
    assert cache.get(SPACE.key("a")) is None


def test_changing_what_was_read_changes_nothing_stored(cache: FeatureCache) -> None:
    put(cache, 1)

    cache.get(SPACE.key("1")).zero_()

    assert torch.equal(cache.get(SPACE.key("1")), feature_writers.expected(1))


def test_what_another_process_writes_is_found(cache: FeatureCache) -> None:
    assert cache.get(SPACE.key("3")) is None
    with FeatureCache(cache.root, SPACE) as other:
        put(other, 3)
    cache.refresh()

    assert torch.equal(cache.get(SPACE.key("3")), feature_writers.expected(3))


def test_a_flipped_bit_is_a_miss_and_told(cache: FeatureCache, caplog: pytest.LogCaptureFixture) -> None:
    put(cache, 1)
    path = next(shards.find_shards(cache.root))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    assert cache.get(SPACE.key("1")) is None
    assert "other bytes than were written" in caplog.text


def test_what_half_precision_cannot_hold_is_refused(cache: FeatureCache) -> None:
    with pytest.raises(InputRefused, match="row 5: its features are not finite as float16"):
        cache.put(Entry("numbers", 5, "a"), torch.tensor([1e6]))


def test_the_limit_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    with FeatureCache(tmp_path, SPACE, rows=1, limit=15_000, keep_open=1) as cache:  # three shards of one row
        for number in range(6):
            put(cache, number)
            os.utime(
                next(p for p in shards.find_shards(tmp_path) if p.parent.name.endswith(f"_vlm{number}")), (number,) * 2
            )

        assert sum(one.size for one in evict.list_shards(tmp_path)) <= 15_000
        assert cache.get(SPACE.key("5")) is not None
        assert cache.get(SPACE.key("0")) is None


def test_a_full_cache_whose_shards_are_held_takes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with FeatureCache(tmp_path, SPACE, rows=1, limit=6_000) as cache:
        put(cache, 0)
        with file_locks.lock_shared(next(shards.find_shards(tmp_path))):
            put(cache, 1)

    assert (cache.counts.refused, len(list(shards.find_shards(tmp_path)))) == (1, 1)
    assert "what is there is in use" in caplog.text


def test_writers_killed_while_readers_read_leave_nothing_damaged(tmp_path: Path) -> None:
    tally = feature_writers.campaign(tmp_path, writers=4, kills=4, limit=600_000, seed=1, rows=300)

    assert (tally.damaged, tally.wrong_hits) == (0, 0)
    assert tally.most_bytes <= 600_000
    assert tally.rows > 20
    assert tally.hits > 20


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


def test_only_what_is_missing_is_computed_for_a_frozen_tower(cache: FeatureCache) -> None:
    known, new = Entry("a", 0, "known"), Entry("a", 1, "new")
    cache.put(known, torch.full((1, 3), 0.5))
    model = Mean()
    asked = [(entry, lambda: torch.ones(3, 8, 8)) for entry in (new, known, new)]

    found = lookup.features_of(asked, cache=cache, vl_model=model)

    assert model.seen == 1
    assert [one[0, 0].item() for one in found] == [torch.tensor(torch.pi).half().item(), 0.5, found[0][0, 0].item()]


def test_the_stand_in_tower_s_features_are_llava_s_bit_for_bit(
    pictures: list[picture_rows.ImageRow], tmp_path: Path
) -> None:
    tower, processor = towers.open_tower(str(TOWER))
    done = build.build(pictures[:2], vl_model=tower, processor=processor, cache_dir=tmp_path / "cache")
    with FeatureCache(tmp_path / "cache", done.space) as cache:
        found = lookup.CachedPictures(pictures[:2], cache)[1].features

    fresh, again = towers.open_tower(str(TOWER))
    assert torch.equal(found, fresh.encode(again(Image.open(pictures[1].path))[None])[0].half())
    assert found.shape == (576, 64)


def anyres(grid: tuple[tuple[int, int], ...]) -> tuple[towers.Tower, ClipProcessor]:
    """The stand-in tower, and LLaVA-NeXT's preprocessing: the whole picture, then each square of a grid."""
    tower, processor = towers.open_tower(str(TOWER))
    settings = SimpleNamespace(image_aspect_ratio="anyres", image_grid_pinpoints=[list(one) for one in grid])
    return tower, ClipProcessor(processor.image_processor, settings)


WIDE, SQUARE = ((672, 336), (336, 672)), ((672, 672),)


def test_anyres_features_are_those_of_every_crop_whatever_is_beside_it_in_the_batch(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for name, size in (("a", (600, 200)), ("b", (500, 500))):
        Image.linear_gradient("L").resize(size).convert("RGB").save(tmp_path / "pictures" / f"{name}.png")
    tower, processor = anyres((*WIDE, *SQUARE))
    listed = picture_rows.from_folder(tmp_path / "pictures")
    build.build(listed, vl_model=tower, processor=processor, cache_dir=tmp_path / "cache", dtype="float32")

    with FeatureCache(tmp_path / "cache", towers.space_of(tower, processor, "float32")) as cache:
        found = [sample.features for sample in lookup.CachedPictures(listed, cache)]

    crops = [processor(picture_rows.decode(row.path.read_bytes())) for row in listed]
    assert [one.shape for one in found] == [(3, 576, 64), (5, 576, 64)]
    assert all(torch.equal(one, tower.encode(pixels)) for one, pixels in zip(found, crops, strict=True))


def test_another_grid_of_crops_is_another_space_and_so_is_padding() -> None:
    padded = towers.open_tower(str(TOWER))

    spaces = {towers.space_of(*made) for made in (padded, anyres(WIDE), anyres(SQUARE), anyres((*WIDE, *SQUARE)))}

    assert len(spaces) == 4


def checkpoint(folder: Path, **config: object) -> str:
    """Return the name of a LLaVA checkpoint with the stand-in tower and no weights to speak of."""
    values = {"model_type": "llava", "mm_vision_tower": str(TOWER), **config}
    (folder / "config.json").write_text(json.dumps(values))
    save_file({"none": torch.zeros(1)}, folder / "model.safetensors")
    return str(folder)


def test_for_an_evaluation_a_next_checkpoint_s_pictures_are_padded_as_the_wrapper_pads_them(tmp_path: Path) -> None:
    name = checkpoint(tmp_path, image_aspect_ratio="anyres", image_grid_pinpoints=[list(one) for one in WIDE])
    picture = Image.linear_gradient("L").resize((600, 200))

    shapes = [towers.open_tower(name, for_evaluation=one)[1](picture).shape for one in (False, True)]

    assert shapes == [(3, 3, 336, 336), (3, 336, 336)]


def test_a_checkpoint_that_tells_its_tower_was_trained_is_refused(tmp_path: Path) -> None:
    name = checkpoint(tmp_path, unfreeze_mm_vision_tower=True)

    with pytest.raises(InputRefused, match="its tower was trained with it"):
        towers.open_tower(name)


@pytest.mark.filterwarnings("ignore:`resume_download` is deprecated:FutureWarning")  # transformers' own use of the hub
def test_llava_7b_and_13b_share_their_tower_s_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(ASSETS / "huggingface"))
    monkeypatch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(ASSETS / "huggingface"))
    names = ("liuhaotian/llava-v1.5-7b", "liuhaotian/llava-v1.5-13b", "openai/clip-vit-large-patch14-336")

    spaces = {towers.space_of(*towers.open_tower(name)) for name in names}

    assert len(spaces) == 1


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


def forked(target: object, *args: object) -> ForkProcess:
    torch.set_num_threads(1)  # OpenMP's threads are not in a fork, which would wait for them
    process = feature_writers.FORK.Process(target=target, args=args)
    process.start()
    return process


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
