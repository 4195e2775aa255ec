"""Decoding settings are compared with the model's config once, not at each question."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from vldock.image.vlmeval_hooks.models import build as model_build


@pytest.fixture
def wrapper() -> Any:
    """The relevant part of a VLMEvalKit wrapper: a tiny language model below `model`."""
    sizes = {"vocab_size": 32, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    config = LlamaConfig(**sizes, num_attention_heads=1, eos_token_id=5, max_length=64)  # LLaVA's config has one, too
    return SimpleNamespace(model=LlamaForCausalLM(config))


def derived(monkeypatch: pytest.MonkeyPatch, wrapper: Any) -> int:
    """Return how often a question rebuilds the settings from the model's config."""
    calls = []
    made = GenerationConfig.from_model_config.__func__
    monkeypatch.setattr(
        GenerationConfig, "from_model_config", classmethod(lambda cls, config: calls.append(1) or made(cls, config))
    )
    wrapper.model.generate(wrapper.model.dummy_inputs["input_ids"] % 32, max_new_tokens=1, pad_token_id=0)
    return len(calls)


def test_they_are_made_at_each_question_unless_settled(wrapper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert derived(monkeypatch, wrapper) == 1

    model_build.settle_generation_config(wrapper)

    assert derived(monkeypatch, wrapper) == 0
    assert wrapper.model.generation_config.eos_token_id == 5


def test_a_config_that_says_something_else_is_still_heard(wrapper: Any) -> None:
    wrapper.model.config.eos_token_id = 7

    model_build.settle_generation_config(wrapper)

    assert wrapper.model.generation_config._from_model_config


@pytest.mark.parametrize("model", [SimpleNamespace(), SimpleNamespace(model=None), SimpleNamespace(model=object())])
def test_a_model_of_another_kind_is_left_alone(model: Any) -> None:
    model_build.settle_generation_config(model)
