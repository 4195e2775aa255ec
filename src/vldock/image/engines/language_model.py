"""Forward passes of LLaVA's language model: prefill, then one token per row.

Rows are padded on the left. A row's positions count its own tokens only, and a mask hides the padding, so that a row
has the results it has alone (but for the order in which a matrix product adds, which is the hardware's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vldock.image.engines.kv_cache import AlignedCache, KvSlice, Shape


@dataclass(frozen=True)
class Segment:
    """Embeddings [tokens, width] to prefill, after the tokens of `past` if given."""

    embeds: torch.Tensor
    past: KvSlice | None = None

    @property
    def before(self) -> int:
        """Return how many tokens come before it."""
        return self.past.length if self.past else 0


class LanguageModel:
    """The decoder of a LlavaLlamaForCausalLM, with logits of the last position only."""

    def __init__(self, model: Any) -> None:
        self._decoder, self._to_logits, config = model.get_model(), model.lm_head, model.config
        self._projector = self._decoder.mm_projector
        self._embedding = self._decoder.embed_tokens
        self.device: torch.device = model.device
        width = config.hidden_size // config.num_attention_heads
        self.shape = Shape(config.num_hidden_layers, config.num_key_value_heads, width, self._embedding.weight)

    def embed(self, tokens: Sequence[int]) -> torch.Tensor:
        """Return the embeddings [tokens, width] of token ids."""
        found: torch.Tensor = self._embedding(torch.tensor(list(tokens), dtype=torch.long, device=self.device))
        return found

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Return features [..., patches, vision width] as embeddings [..., patches, width]."""
        projected: torch.Tensor = self._projector(features)
        return projected

    def prefill(self, segments: Sequence[Segment]) -> tuple[torch.Tensor, list[KvSlice]]:
        """Run segments through the model; return logits and cache rows.

        The logits [segments, vocabulary] are those after each segment; each segment has one cache row.
        Segments are grouped by `plan_passes`.
        """
        logits, slices = dict[int, torch.Tensor](), dict[int, KvSlice]()
        for indices in plan_passes(segments, by_length=self.device.type == "cpu"):
            found, rows = self._prefill([segments[index] for index in indices])
            logits |= zip(indices, found, strict=True)
            slices |= zip(indices, rows, strict=True)
        order = range(len(segments))
        return torch.stack([logits[index] for index in order]), [slices[index] for index in order]

    def _prefill(self, segments: Sequence[Segment]) -> tuple[torch.Tensor, list[KvSlice]]:
        new = [segment.embeds.shape[0] for segment in segments]
        before = [segment.before for segment in segments]
        most_new, most_before = max(new), max(before)
        cache = AlignedCache.gather([segment.past for segment in segments], like=self.shape, room=most_new)
        embeds = segments[0].embeds.new_zeros((len(segments), most_new, segments[0].embeds.shape[1]))
        for row, segment in enumerate(segments):
            embeds[row, most_new - new[row] :] = segment.embeds
        logits = self._forward(
            cache,
            positions=position_ids(before, new, device=self.device),
            mask=prefill_mask(before, new, device=self.device),
            inputs_embeds=embeds,
        )
        slices = []
        for row in range(len(segments)):
            spans = [(most_before - before[row], most_before), (most_before + most_new - new[row], cache.used)]
            slices.append(KvSlice(cache, row, tuple(span for span in spans if span[0] < span[1])))
        return logits, slices

    def decode(self, cache: AlignedCache, tokens: Sequence[int], lengths: Sequence[int]) -> torch.Tensor:
        """Decode one token of each row; return the logits [rows, vocabulary].

        `lengths` is the number of tokens before it in each row.
        """
        cache.reserve()
        return self._forward(
            cache,
            positions=torch.tensor(list(lengths), device=self.device)[:, None],
            mask=decode_mask(lengths, columns=cache.used, device=self.device),
            input_ids=torch.tensor(list(tokens), device=self.device)[:, None],
        )

    def _forward(
        self, cache: AlignedCache, *, positions: torch.Tensor, mask: torch.Tensor | None, **inputs: torch.Tensor
    ) -> torch.Tensor:
        output = self._decoder(
            **inputs, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        # as LlamaForCausalLM does, which computes the logits of all positions and in float32
        logits: torch.Tensor = self._to_logits(output.last_hidden_state[:, -1]).float()
        return logits


def plan_passes(segments: Sequence[Segment], *, by_length: bool) -> list[list[int]]:
    """Return the indices of the segments of each forward pass.

    One pass has all segments, or `by_length` groups them by length.
    Segments without a past and of equal length need no mask.
    On a CPU several rows in one pass are no faster than one after the other, while a mask forbids the causal kernel
    and costs twice the time of a prompt (torch 2.1's SDPA); only one large pass fills a GPU.
    """
    if not by_length:
        return [list(range(len(segments)))]
    groups: dict[tuple[bool, int], list[int]] = {}
    for index, segment in enumerate(segments):
        key = (True, 0) if segment.before else (False, segment.embeds.shape[0])
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def position_ids(before: Sequence[int], new: Sequence[int], *, device: torch.device) -> torch.Tensor:
    """Return the positions [rows, longest new] of left-padded segments.

    Padding has position 0.
    """
    columns = torch.arange(max(new), device=device)[None]
    first = torch.tensor([b - max(new) + n for b, n in zip(before, new, strict=True)], device=device)[:, None]
    padded = torch.tensor([max(new) - n for n in new], device=device)[:, None]
    return torch.where(columns < padded, 0, columns + first)


def prefill_mask(before: Sequence[int], new: Sequence[int], *, device: torch.device) -> torch.Tensor | None:
    """Return the attention mask of new positions.

    bool [rows, 1, new, before + new].
    None where it is causal.
    A padding position attends to everything: a softmax over nothing is NaN in some of SDPA's kernels.
    """
    if not any(before) and len(set(new)) == 1:
        return None
    past, fresh = max(before), max(new)
    columns, queries = torch.arange(past + fresh, device=device), torch.arange(fresh, device=device)
    starts = torch.tensor([(past - b, past + fresh - n, fresh - n) for b, n in zip(before, new, strict=True)])
    old, own, padded = starts.to(device).T[:, :, None]
    real = torch.where(columns < past, columns >= old, columns >= own)
    causal = columns[None] <= queries[:, None] + past
    seen = real[:, None, :] & causal[None] | (queries < padded)[:, :, None]
    return seen[:, None]


def decode_mask(lengths: Sequence[int], *, columns: int, device: torch.device) -> torch.Tensor | None:
    """Return the attention mask of the next token.

    bool [rows, 1, 1, columns + 1]; None without padding.
    """
    if set(lengths) == {columns}:
        return None
    begin = columns - torch.tensor(list(lengths), device=device)
    return (torch.arange(columns + 1, device=device)[None] >= begin[:, None])[:, None, None]
