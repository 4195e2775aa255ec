"""The feature cache behind the batched engine: no answer moves, no tower runs twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_cache_fixture
import pytest
import tiny_wrapper
import torch
from engine_cache_fixture import MARKS, PICTURES, Found, run

from vldock.image.answering.types import Question
from vldock.image.engines import disk_features
from vldock.image.features import build, for_evaluation, fsck, picture_rows, towers

pytestmark = MARKS


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """VLMEvalKit's LLaVA wrapper with a tiny model, its tower as its files have it."""
    return engine_cache_fixture.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the questions' pictures."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module")
def asked(pictures: Path) -> list[Question]:
    """Questions of every shape."""
    return tiny_wrapper.questions(pictures)


@pytest.fixture(scope="module")
def expected(wrapper: Any, asked: list[Question]) -> Found:
    """What VLMEvalKit's own loop answers."""
    return tiny_wrapper.stock(wrapper, asked)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Every test is a process of its own, as far as the cache can tell."""
    yield
    disk_features._opened.cache_clear()


def test_cold_and_warm_every_answer_is_the_stock_loops_and_no_tower_runs_twice(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    cold, first = run(wrapper, asked, tmp_path)
    warm, second = run(wrapper, asked, tmp_path, batch_size=5)

    assert cold == warm == expected
    assert (first["read"], first["computed"]) == (0, PICTURES)
    assert (second["read"], second["computed"]) == (PICTURES, 0)
    assert fsck.check(tmp_path).rows == PICTURES


def test_with_the_cache_warm_no_picture_is_even_opened(
    wrapper: Any, asked: list[Question], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(wrapper, asked, tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("vldock.image.engines.inputs.InputProcessor.decode", lambda self, path: opened.append(path))

    run(wrapper, asked, tmp_path)

    assert opened == []


def test_without_being_asked_for_nothing_is_read_or_written(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    found, _ = run(wrapper, asked, tmp_path / "features", VLDOCK_FEATURE_CACHE="")

    assert found == expected
    assert not (tmp_path / "features").exists()


def test_another_llava_with_this_tower_computes_nothing(wrapper: Any, asked: list[Question], tmp_path: Path) -> None:
    run(wrapper, asked, tmp_path / "features")
    (tmp_path / "other").mkdir()
    other = tiny_wrapper.make(tmp_path / "other")
    other.model.get_vision_tower().load_state_dict(wrapper.model.get_vision_tower().state_dict())
    own, _ = run(other, asked, tmp_path / "unused", VLDOCK_FEATURE_CACHE="0")

    found, seen = run(other, asked, tmp_path / "features")

    assert found == own
    assert seen["computed"] == 0


def test_features_built_before_are_hits(wrapper: Any, asked: list[Question], pictures: Path, tmp_path: Path) -> None:
    name = wrapper.model.get_vision_tower().vision_tower_name
    tower, processor = towers.open_tower(name, device="cpu", for_evaluation=True)
    listed = picture_rows.from_folder(pictures, dataset="POPE")
    build.build(
        listed, vl_model=tower, processor=processor, cache_dir=tmp_path, dtype=for_evaluation.name_of(tower.dtype)
    )

    _, seen = run(wrapper, asked, tmp_path)

    assert (seen["read"], seen["computed"]) == (PICTURES, 0)


def test_features_built_for_training_are_none_of_an_evaluation(
    wrapper: Any, asked: list[Question], pictures: Path, tmp_path: Path
) -> None:
    tower, processor = towers.open_tower(wrapper.model.get_vision_tower().vision_tower_name, device="cpu")
    build.build(picture_rows.from_folder(pictures), vl_model=tower, processor=processor, cache_dir=tmp_path)

    assert run(wrapper, asked, tmp_path)[1]["read"] == 0


def test_a_tower_trained_with_its_llava_has_features_of_its_own(
    wrapper: Any, asked: list[Question], expected: Found, tmp_path: Path
) -> None:
    run(wrapper, asked, tmp_path / "features")
    (tmp_path / "trained").mkdir()
    trained = tiny_wrapper.make(tmp_path / "trained")  # its config does not tell that its tower's weights are others
    own = tiny_wrapper.stock(trained, asked)

    cold, first = run(trained, asked, tmp_path / "features")
    warm, second = run(trained, asked, tmp_path / "features")

    assert cold == warm == own != expected
    assert (first["read"], second["computed"]) == (0, 0)


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter:UserWarning")  # LLaVA's own way with it
def test_a_checkpoint_that_carries_its_tower_is_known_by_the_weights_it_loads(
    wrapper: Any, asked: list[Question], tmp_path: Path
) -> None:
    from vlmeval.vlm.llava.llava import LLaVA

    (tmp_path / "base").mkdir()
    base = tiny_wrapper.make(tmp_path / "base")
    base.model.config.unfreeze_mm_vision_tower = True
    base.model.save_pretrained(tmp_path / "llava-trained")
    base.tokenizer.save_pretrained(tmp_path / "llava-trained")
    made = LLaVA(str(tmp_path / "llava-trained"), max_new_tokens=4)
    own = tiny_wrapper.stock(made, asked[:6])
    run(wrapper, asked, tmp_path / "features")

    cold, first = run(made, asked[:6], tmp_path / "features")
    warm, second = run(made, asked[:6], tmp_path / "features")

    tower = made.model.get_vision_tower()
    assert for_evaluation.digest_of_files(tower) is None
    assert for_evaluation.digest_in_memory(tower) == for_evaluation.digest_in_memory(base.model.get_vision_tower())
    assert cold == warm == own
    assert (first["read"], second["computed"]) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": torch.bfloat16},
        {"processor": {"image_mean": [0.0, 0.0, 0.0]}},
        {"layer": -3},
        {"weight": 1e-3},
        {"torch": "2.1.3"},
        {"device": "AVX2"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_moves_a_bit_of_the_features_is_another_space(
    wrapper: Any, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, processor = wrapper.model.get_vision_tower(), wrapper.image_processor
    before = for_evaluation.space_of(tower, processor, dtype=torch.float32, device=torch.device("cpu"))
    if "processor" in change:
        processor = type(processor)(**{**processor.to_dict(), **change["processor"]})
    if "layer" in change:
        monkeypatch.setattr(tower, "select_layer", change["layer"])
    if "weight" in change:
        weight = next(tower.vision_tower.parameters())
        monkeypatch.setattr(weight, "data", weight.data + change["weight"])
    if "torch" in change:
        monkeypatch.setattr(torch, "__version__", change["torch"])
    if "device" in change:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: change["device"])
    dtype = change.get("dtype", torch.float32)

    after = for_evaluation.space_of(tower, processor, dtype=dtype, device=torch.device("cpu"))

    assert after != before


def test_the_space_of_what_is_in_memory_is_that_of_the_files_it_came_from(wrapper: Any) -> None:
    tower = wrapper.model.get_vision_tower()
    vl_model, processor = towers.open_tower(tower.vision_tower_name, device="cpu", for_evaluation=True)

    found = for_evaluation.space_of(tower, wrapper.image_processor, dtype=torch.float32, device=torch.device("cpu"))

    assert found == towers.space_of(vl_model, processor, "float32")
