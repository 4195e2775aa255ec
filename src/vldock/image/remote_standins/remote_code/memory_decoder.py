"""Tiny causal language model that answers from a key-value memory.

Two transformer blocks. The first mixes each token with its position and its neighbours by fixed random weights; the
second attends over the whole prompt, and its feed-forward layer is the memory: one ReLU unit per remembered state,
which fires only where the state before it is nearly the remembered one, and then writes the next token. Where no unit
fires, the model answers with its refusal. All arithmetic is in float32, whatever dtype the weights are stored in.

This file is copied into every snapshot that is loaded with trust_remote_code; it imports torch and transformers only.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .memory_layers import Attention, Memory, Positions, apply_linear, normalize

Cache = tuple[tuple[Tensor, Tensor], ...]


class MemoryDecoderConfig(PretrainedConfig):  # type: ignore[misc]
    """Sizes of a MemoryDecoder, and its refusal's token ids.

    The last `output_size` of `hidden_size` channels hold what is said next, the others what was read.
    """

    model_type = "memory_decoder"

    def __init__(
        self,
        vocab_size: int = 512,
        hidden_size: int = 128,
        output_size: int = 32,
        inner_size: int = 256,
        memory_size: int = 0,
        heads: int = 4,
        refusal_ids: tuple[int, ...] | list[int] = (),
        **options: Any,
    ) -> None:
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.output_size = output_size
        self.inner_size = inner_size
        self.memory_size = memory_size
        self.heads = heads
        self.refusal_ids = list(refusal_ids)
        self.num_hidden_layers = 2
        self.use_cache = True
        super().__init__(**options)


class MemoryDecoder(PreTrainedModel):  # type: ignore[misc]
    """Causal language model of two blocks; the second one's feed-forward layer is its memory."""

    config_class = MemoryDecoderConfig
    base_model_prefix = "decoder"
    _no_split_modules = ["Attention", "Memory"]  # noqa: RUF012 - as transformers declares it

    def __init__(self, config: MemoryDecoderConfig) -> None:
        super().__init__(config)
        width = config.hidden_size
        self.content = width - config.output_size
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        self.positions = Positions(self.content)
        self.local = Attention(width, config.heads)
        self.widen = nn.Linear(width, config.inner_size)
        self.narrow = nn.Linear(config.inner_size, self.content, bias=False)
        self.whole = Attention(width, config.heads)
        self.memory = Memory(config.memory_size, width, config.output_size)
        self.lm_head = nn.Linear(config.output_size, config.vocab_size)

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the values of `randomize`: none is left to transformers."""

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token embedding."""
        return self.embed_tokens

    def get_output_embeddings(self) -> nn.Linear:
        """Return the layer that scores tokens."""
        return self.lm_head

    def randomize(self, *, refusal: list[int], end: int) -> None:
        """Fill the fixed weights from torch's generator; the refusal is what an empty memory says."""
        content = self.content
        with torch.no_grad():
            self.embed_tokens.weight.zero_()[:, :content].normal_()
            for attention, sharpness, strength in ((self.local, 1.0, 0.5), (self.whole, 0.2, 0.0)):
                for layer in (attention.query, attention.key):
                    layer.weight.normal_(0.0, math.sqrt(sharpness / content))
                attention.value.weight.normal_(0.0, content**-0.5)
                attention.out.weight.zero_()[:content].normal_(0.0, strength * content**-0.5)
                attention.out.bias.zero_()
            self.widen.weight.normal_(0.0, 1.5 * content**-0.5)
            self.widen.bias.normal_()
            self.narrow.weight.normal_(0.0, 2.0 * self.config.inner_size**-0.5)
            self.lm_head.weight.zero_()
            self.lm_head.bias.zero_()
            self._teach_refusal([*refusal, end])

    def _teach_refusal(self, chain: list[int]) -> None:
        """Make the first of `chain` the default, and each of them lead to the next."""
        codes = functional.normalize(torch.randn(len(chain), self.config.output_size), dim=-1)
        self.lm_head.weight[chain] = codes
        self.lm_head.bias[chain[0]] = 4.0
        for token, code in zip(chain, codes[1:], strict=False):
            self.embed_tokens.weight[token, self.content :] = 12 * code

    def mix(self, states: Tensor, mask: Tensor, place: Tensor, past: Any) -> tuple[Tensor, Any]:
        """Return the states after the first block, and its cache."""
        states = states.clone()
        states[..., : self.content] += self.positions(place)
        attended, cache = self.local.gather(normalize(states), mask, past)
        states = states + apply_linear(attended, self.local.out)
        wide = functional.gelu(apply_linear(normalize(states), self.widen))
        states[..., : self.content] += apply_linear(wide, self.narrow)
        return states, cache

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        **ignored: Any,
    ) -> Any:
        """Return logits (batch, length, vocabulary) and the cache of both blocks.

        attention_mask: (batch, past and present length), 0 where padded.
        """
        states = (self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds).float()
        place, mask = self._placed(states, attention_mask, past_key_values)
        first, second = past_key_values or (None, None)
        states, near = self.mix(states, mask, place, first)
        attended, far = self.whole.gather(normalize(states), mask, second)
        states = states + apply_linear(attended, self.whole.out)
        said = states[..., self.content :] + self.memory(normalize(states))
        logits = apply_linear(said, self.lm_head)
        cache = (near, far) if use_cache is not False else None
        return (
            CausalLMOutputWithPast(logits=logits, past_key_values=cache)
            if return_dict is not False
            else ((logits,) if cache is None else (logits, cache))
        )

    def _placed(self, states: Tensor, attention_mask: Tensor | None, past: Cache | None) -> tuple[Tensor, Tensor]:
        """Return positions (batch, length) and the additive mask (batch, 1, length, whole)."""
        batch, length = states.shape[:2]
        whole = length + (past[0][0].shape[2] if past else 0)
        if attention_mask is None:
            attention_mask = torch.ones(batch, whole, dtype=torch.long, device=states.device)
        place = (attention_mask.long().cumsum(-1) - 1).clamp_min(0)[:, -length:]
        order = torch.arange(whole, device=states.device)
        seen = order[None] <= order[whole - length :, None]
        seen = seen[None] & (attention_mask[:, None, :].bool() | (order[None] == order[whole - length :, None])[None])
        mask = torch.zeros(seen.shape, device=states.device).masked_fill(~seen, float("-inf"))
        return place, mask[:, None]

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Return forward's arguments: the embeddings at first, then the last token."""
        inputs: dict[str, Any] = {"input_ids": input_ids}
        if past_key_values is not None:
            inputs = {"input_ids": input_ids[:, -1:]}
        elif inputs_embeds is not None:
            inputs = {"inputs_embeds": inputs_embeds}
        return {
            **inputs,
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
            "use_cache": options.get("use_cache"),
        }

    @staticmethod
    def _reorder_cache(past_key_values: Cache, beam_idx: Tensor) -> Cache:
        """Return the cache of the beams that go on."""
        return tuple(
            (key.index_select(0, beam_idx.to(key.device)), value.index_select(0, beam_idx.to(value.device)))
            for key, value in past_key_values
        )
