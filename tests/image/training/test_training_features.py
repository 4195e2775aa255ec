"""Trained from the feature cache: the same bits as without it, and the tower computes a picture once."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import training_fixture
from training_fixture import Box, last_features, weights_of

from vldock.image.__main__ import main
from vldock.image.features import evict
from vldock.image.training.model import cached_tower, frozen_tower
from vldock.image.training.model import load as model_load

CACHED = "model.feature_cache=true"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    return training_fixture.shared(tmp_path_factory)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLDOCK_FEATURES", str(tmp_path / "features"))
    return tmp_path / "features"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many tiles went through the tower for features, in each call."""
    counted: list[int] = []
    encode = frozen_tower.TrainingTower.encode

    def counts(self: Any, pixels: torch.Tensor) -> torch.Tensor:
        counted.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(frozen_tower.TrainingTower, "encode", counts)
    return counted


@pytest.mark.parametrize(
    ("base", "method"), [("next", "lora"), ("plain", "projector"), ("tuned", "lora"), ("mistral", "lora")]
)
def test_the_weights_are_those_without_the_cache_bit_for_bit(
    box: Box, tmp_path: Path, seen: list[int], base: str, method: str
) -> None:
    words = (f"model.base={box.root / base}", f"model.method={method}", "train.max_steps=4")
    without = box.train(tmp_path / "without", *words).folder

    computed = box.train(tmp_path / "computed", *words, CACHED).folder
    calls = len(seen)
    read = box.train(tmp_path / "read", *words, CACHED).folder

    assert weights_of(without / "last") == weights_of(computed / "last") == weights_of(read / "last")
    assert (calls > 0, len(seen) - calls) == (True, 0)
    assert (last_features(read)["computed"], last_features(computed)["stored"]) == (
        0,
        last_features(computed)["computed"],
    )
    assert (without / "answers.jsonl").read_bytes() == (read / "answers.jsonl").read_bytes()


def test_whole_language_models_train_from_it_too(box: Box, tmp_path: Path) -> None:
    words = ("model.method=full", "train.gradient_checkpointing=false")
    runs = [box.train(tmp_path / name, *words, *more).folder for name, more in (("a", ()), ("b", (CACHED,)))]

    first, second = ((run / "last" / "model.safetensors").read_bytes() for run in runs)
    assert first == second


def test_all_tiles_of_a_picture_are_one_row_and_a_second_epoch_computes_none(
    box: Box, tmp_path: Path, seen: list[int], root: Path
) -> None:
    made = box.config(tmp_path / "run", CACHED, "train.max_steps=0", "train.epochs=2")
    data = box.data(made)
    names = {picture.name for record in [*data.training, *data.heldout] for picture in record.pictures}

    box.train(tmp_path / "run", CACHED, "train.max_steps=0", "train.epochs=2")

    assert (
        last_features(tmp_path / "run")["computed"]
        == last_features(tmp_path / "run")["stored"]
        == len(names)
        == len(seen)
    )
    assert set(seen) <= {3, 4, 5}, "anyres: the whole picture and its tiles"
    assert sum(len(shard.rows) for shard in _shards(root)) == len(names)


def test_features_build_fills_it_and_training_computes_nothing(
    box: Box, tmp_path: Path, seen: list[int], root: Path
) -> None:
    words = ["--model", str(box.root / "next"), "--images", str(box.root / "flowers"), "--dtype", "float32"]

    assert main(["features", "build", *words]) == 0
    box.train(tmp_path / "run", CACHED)

    assert seen == []
    assert last_features(tmp_path / "run")["read"] > 0


def test_features_kept_in_half_precision_are_not_read(box: Box, tmp_path: Path, root: Path) -> None:
    words = ["--model", str(box.root / "next"), "--images", str(box.root / "flowers"), "--dtype", "float16"]

    assert main(["features", "build", *words]) == 0
    box.train(tmp_path / "run", CACHED)

    assert last_features(tmp_path / "run")["computed"] > 0


@pytest.mark.parametrize("change", ["tower", "own tower", "layer", "tiles", "processor", "accept"])
def test_another_way_to_make_features_is_a_miss(box: Box, tmp_path: Path, change: str) -> None:
    base, words = "next", [CACHED, "train.max_steps=1"]
    if change == "own tower":
        base = "tuned"
    box.train(tmp_path / "first", f"model.base={box.root / base}", *words)
    other = tmp_path / "other"
    if change in ("tower", "processor"):
        shutil.copytree(box.root / "tower", tmp_path / "tower")
        box.altered(other, mm_vision_tower=str(tmp_path / "tower"))
    if change == "tower":
        _negate(tmp_path / "tower" / "model.safetensors")
    if change == "processor":
        path = tmp_path / "tower" / "preprocessor_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"image_mean": [0.4, 0.4, 0.4]}))
    if change == "own tower":
        _negate(box.altered(other, base="tuned") / "model.safetensors")
    if change == "layer":
        box.altered(other, mm_vision_select_layer=-1)
    if change == "tiles":
        box.altered(other, image_grid_pinpoints=[[56, 112], [112, 56]])
    base_of = other if other.exists() else box.root / base
    more = ["data.accept=[exif-rotated]"] if change == "accept" else []

    box.train(tmp_path / "second", f"model.base={base_of}", *words, *more)

    first, second = last_features(tmp_path / "first"), last_features(tmp_path / "second")
    assert (second["computed"], second["stored"]) == (first["computed"], first["computed"])


@pytest.mark.parametrize("change", [{"precision": "fp16"}, {"precision": "bf16"}, {"device": "cuda:0"}])
def test_autocast_and_a_gpu_have_keys_of_their_own(box: Box, tmp_path: Path, change: dict[str, str]) -> None:
    loaded = model_load.load(box.config(tmp_path), device="cpu")

    plain = frozen_tower.tower_of(loaded, str(box.root / "next"))
    other = frozen_tower.tower_of(dataclasses.replace(loaded, **change), str(box.root / "next"))

    assert plain.computed == f"float32, torch {torch.__version__}"
    assert other.computed.startswith(f"{plain.computed}, autocast" if "precision" in change else plain.computed)
    assert other.computed != plain.computed


def test_a_record_without_a_picture_trains_beside_cached_ones(box: Box, tmp_path: Path) -> None:
    from vldock.image.training.data.batch import Collator
    from vldock.image.training.data.encode import Encoder

    made = box.config(tmp_path / "run", CACHED)
    record = box.data(made).training[0]
    turns = tuple(dataclasses.replace(turn, text=turn.text.replace("<image>", "")) for turn in record.turns)
    blank = dataclasses.replace(record, pictures=(), turns=turns)
    loaded = model_load.load(made, device="cpu")
    loaded.model.eval()
    collator, parts = Collator(0, anyres=True), (loaded.tokenizer, loaded.processor, loaded.inner.config)
    plain = loaded.model(**collator([Encoder(*parts)(one) for one in (blank, record)])).loss

    with cached_tower.open_cached_tower(loaded, made, emit=lambda *_, **__: None) as cached:
        encoder = Encoder(*parts, cached=cached)
        assert torch.equal(loaded.model(**collator([encoder(one) for one in (blank, record)])).loss, plain)


def test_a_resumed_run_may_turn_the_cache_on_and_ends_with_the_same_bits(box: Box, tmp_path: Path) -> None:
    run = box.train(tmp_path / "run", "train.max_steps=4").folder
    weights, facts = weights_of(run / "checkpoint-4"), (run / "run.json").read_text()
    shutil.rmtree(run / "checkpoint-4")

    again = box.train(tmp_path / "run", "train.max_steps=4", CACHED)

    assert again.resumed_from == 2
    assert last_features(run)["computed"] > 0
    assert weights_of(run / "checkpoint-4") == weights
    assert (run / "run.json").read_text() == facts


def _shards(root: Path) -> list[Any]:
    from vldock.image.features import shards

    return [shards.read_header(one.path) for one in evict.list_shards(root)]


def _negate(path: Path) -> None:
    """Change the tower's weights of a model, and nothing else of the file."""
    from safetensors.torch import load_file, save_file

    changed = {name: -value if "patch_embedding" in name else value for name, value in load_file(path).items()}
    save_file(changed, path, metadata={"format": "pt"})
