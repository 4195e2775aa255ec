"""PyTorch's scaled_dot_product_attention is used, and equals the written-out attention."""

from __future__ import annotations

import pytest

LAYERS = 3


@pytest.fixture(scope="module")
def config():
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )


@pytest.mark.parametrize("steps", [1, 4])
def test_every_layer_calls_sdpa_at_every_step(steps: int) -> None:
    from vldock.image.doctor.software import count_sdpa_calls

    calls, expected = count_sdpa_calls(layers=LAYERS, steps=steps)

    assert calls == expected == LAYERS * steps


def test_eager_attention_calls_no_sdpa() -> None:
    from vldock.image.doctor.software import count_sdpa_calls

    calls, _ = count_sdpa_calls(layers=LAYERS, steps=2, attention="eager")

    assert calls == 0


def test_sdpa_is_the_choice_where_nobody_chose(config) -> None:
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM._from_config(config)

    assert model.config._attn_implementation == "sdpa"
    assert type(model.model.layers[0].self_attn).__name__ == "LlamaSdpaAttention"


@pytest.mark.parametrize("length", [1, 7, 40])
def test_sdpa_and_eager_give_the_same_logits(config, length: int) -> None:
    import torch
    from transformers import LlamaForCausalLM

    eager = LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()
    sdpa = LlamaForCausalLM._from_config(config, attn_implementation="sdpa").eval()
    sdpa.load_state_dict(eager.state_dict())
    tokens = torch.randint(1, 64, (2, length), generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        difference = (eager(tokens).logits - sdpa(tokens).logits).abs().max().item()

    assert difference < 1e-5


def test_llava_s_language_model_uses_sdpa() -> None:
    from llava.model import LlavaLlamaForCausalLM
    from llava.model.language_model.llava_llama import LlavaConfig

    config = LlavaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )

    assert LlavaLlamaForCausalLM._from_config(config).config._attn_implementation == "sdpa"
