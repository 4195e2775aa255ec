"""VLMEvalKit's own loop with a memoized tower: same answers, each image encoded once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_wrapper
import torch

from vldock.image.answering.types import Question
from vldock.image.engines import memoized_tower
from vldock.image.engines.memory_features import FeatureStore
from vldock.image.features import for_evaluation

pytestmark = [
    pytest.mark.filterwarnings("ignore:Following kwargs received:UserWarning"),
    pytest.mark.filterwarnings("ignore:`do_sample` is set to `False`:UserWarning"),
]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FeatureStore]:
    """An empty store of this process."""
    empty = FeatureStore(1 << 30)
    monkeypatch.setattr(memoized_tower, "shared_store", lambda: empty)
    return empty


def distinct(asked: list[Question]) -> int:
    return len({tuple(p["value"] for p in q.message if p["type"] == "image") for q in asked} - {()})


def test_answers_are_the_plain_loops_token_for_token(wrapper: Any, asked: list[Question], store: FeatureStore) -> None:
    plain = tiny_wrapper.stock(wrapper, asked)

    with memoized_tower.memoized(wrapper):
        found = tiny_wrapper.stock(wrapper, asked)
        again = tiny_wrapper.stock(wrapper, asked)

    assert found == again == plain
    assert store.computed == distinct(asked) < len(asked)


def test_afterwards_the_tower_is_as_before(wrapper: Any, store: FeatureStore) -> None:
    tower = memoized_tower.tower_of(wrapper)
    pixels = torch.zeros(1, 3, tower.config.image_size, tower.config.image_size)

    with memoized_tower.memoized(wrapper):
        kept = tower(pixels)
        assert tower(pixels) is kept

    assert "forward" not in vars(tower)
    assert torch.equal(tower(pixels), kept)
    assert store.computed == 1


def test_another_tower_is_not_answered_for(wrapper: Any, store: FeatureStore) -> None:
    tower = memoized_tower.tower_of(wrapper)
    pixels = torch.zeros(1, 3, tower.config.image_size, tower.config.image_size)
    with memoized_tower.memoized(wrapper):
        kept = tower(pixels)
    known, tower._vldock_identity = tower._vldock_identity, "of other weights"

    try:
        with memoized_tower.memoized(wrapper):
            assert tower(pixels) is not kept
    finally:
        tower._vldock_identity = known
    assert store.computed == 2


@pytest.mark.parametrize("change", ["a value", "the dtype", "the shape"])
def test_other_pixels_have_another_digest(change: str) -> None:
    pixels = torch.zeros(1, 3, 4, 4)
    other = {
        "a value": pixels.index_fill(3, torch.tensor([2]), 1e-7),
        "the dtype": pixels.to(torch.int32),
        "the shape": pixels.view(1, 3, 2, 8),
    }

    assert memoized_tower.digest(other[change]) != memoized_tower.digest(pixels)
    assert memoized_tower.digest(pixels.clone()) == memoized_tower.digest(pixels)


def test_a_model_of_another_kind_is_left_alone() -> None:
    with memoized_tower.memoized(SimpleNamespace(model=object())):
        pass
    memoized_tower.prepare(SimpleNamespace())


@pytest.mark.parametrize("layer", [-1, -2, 0, 1])
def test_only_the_layers_up_to_the_one_that_is_read_are_computed(
    wrapper: Any, layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = memoized_tower.tower_of(wrapper)
    monkeypatch.setattr(tower, "select_layer", layer)
    layers, ran = tower.vision_tower.vision_model.encoder.layers, list[int]()
    hooks = [one.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, one in enumerate(layers)]
    pixels = torch.randn(2, 3, tower.config.image_size, tower.config.image_size)
    whole = tower(pixels)
    ran.clear()

    with for_evaluation.skip_unread_layers(tower):
        found = tower(pixels)

    for hook in hooks:
        hook.remove()
    assert torch.equal(found, whole)
    assert ran == list(range(len(layers) + 1 + layer if layer < 0 else layer))
    assert (tower.vision_tower.vision_model.encoder.layers, tower.select_layer) == (layers, layer)


def test_the_layers_are_back_after_an_error(wrapper: Any) -> None:
    tower = memoized_tower.tower_of(wrapper)
    before = (tower.vision_tower.vision_model.encoder.layers, tower.select_layer)

    with pytest.raises(RuntimeError, match="lost"), for_evaluation.skip_unread_layers(tower):
        raise RuntimeError("lost")

    assert (tower.vision_tower.vision_model.encoder.layers, tower.select_layer) == before
