"""The CLIP tower of a LLaVA computes attention as transformers does, or by SDPA where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vldock.common.errors import UsageError
from vldock.common.inference_options import TOWER_VARIABLE
from vldock.image.answering.model_facts import facts_of
from vldock.image.features.for_evaluation import describe_computation
from vldock.image.vlmeval_hooks.process import placement

LAYERS = 3
CHOICES = {"not set": None, "eager": "eager", "sdpa": "sdpa"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP vision model with random weights."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

    place = tmp_path_factory.mktemp("tower")
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        image_size=28,
        patch_size=7,
    )
    CLIPVisionModel(config).save_pretrained(place)
    CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(place)
    return place


@pytest.fixture(params=CHOICES.values(), ids=CHOICES)
def choice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str | None]:
    """VLDOCK_TOWER_ATTENTION, in the environment."""
    monkeypatch.delenv(TOWER_VARIABLE, raising=False)
    if request.param:
        monkeypatch.setenv(TOWER_VARIABLE, request.param)
    return request.param


def load(folder: Path) -> Any:
    """Load the tower as LLaVA does."""
    from llava.model.multimodal_encoder.builder import build_vision_tower

    settings = SimpleNamespace(mm_vision_tower=str(folder), mm_vision_select_layer=-2, mm_vision_select_feature="patch")
    return build_vision_tower(settings).eval()


def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))


def test_the_tower_s_attention_is_the_one_that_is_asked_for(
    folder: Path, choice: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower, calls = load(folder), []
    sdpa = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: (calls.append(1), sdpa(*a, **k))[1]
    )

    tower(pixels())

    assert len(calls) == (LAYERS if choice == "sdpa" else 0)


def test_the_features_are_those_of_transformers_but_for_the_last_bits(folder: Path, choice: str | None) -> None:
    from transformers import CLIPVisionModel

    stock = CLIPVisionModel.from_pretrained(folder)(pixels(), output_hidden_states=True).hidden_states[-2][:, 1:]

    features = load(folder)(pixels())

    assert torch.equal(features, stock) is (choice != "sdpa")
    assert (features - stock).norm() / stock.norm() < 1e-6


def test_attention_weights_are_those_of_transformers(folder: Path, choice: str | None) -> None:
    shown = load(folder).vision_tower(pixels(), output_attentions=True).attentions

    assert [tuple(one.shape) for one in shown] == [(2, 4, 17, 17)] * LAYERS
    assert torch.allclose(shown[0].sum(-1), torch.ones(2, 4, 17))


def test_a_run_s_identity_passport_and_cached_features_name_it(folder: Path, choice: str | None) -> None:
    tower = load(folder)
    model = SimpleNamespace(get_vision_tower=lambda: tower, parameters=tower.parameters, config=SimpleNamespace())
    told = (placement.describe("LLaVA"), describe_computation(torch.float32, "cpu"), facts_of(model).attention)

    assert [text.endswith(", tower sdpa") for text in told] == [choice == "sdpa"] * 3
    assert "tower" not in placement.describe("MiniCPM_V_2_6")


def test_another_attention_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOWER_VARIABLE, "flash")

    with pytest.raises(UsageError, match="VLDOCK_TOWER_ATTENTION=flash"):
        load(folder)
