"""Greedy decoding with generate()'s logits processors and stopping criteria.

Source: GenerationMixin.generate and greedy_search of transformers 4.37.2. Given embeddings, generate() begins its
output with one start token, which processors and criteria see; so do these.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList


def generation_config(model: Any, arguments: dict[str, Any]) -> tuple[GenerationConfig, dict[str, Any]]:
    """Return generate()'s configuration for these arguments, and the unknown arguments."""
    base = model.generation_config
    untouched = base._from_model_config and base._original_object_hash == hash(base)
    if untouched and model.config._has_non_default_generation_parameters():
        base = GenerationConfig.from_model_config(model.config)
    config = copy.deepcopy(base)
    unknown = config.update(**arguments)
    return config, unknown


class GreedyDecoding:
    """Greedy decoding of one model; `config` as returned by `generation_config`."""

    def __init__(self, model: Any, tokenizer: Any, config: GenerationConfig, *, stop: str) -> None:
        self._tokenizer, self._stop = tokenizer, stop
        ends = config.eos_token_id
        self._ends = frozenset([ends] if isinstance(ends, int) else ends or ())
        self.start: int = config.bos_token_id
        length = config.max_length - 1 if config.max_new_tokens is None else config.max_new_tokens
        self.most_tokens: int = length
        self._processors: LogitsProcessorList = model._get_logits_processor(
            generation_config=config,
            input_ids_seq_length=1,
            encoder_input_ids=torch.ones((1, 0), dtype=torch.long),
            prefix_allowed_tokens_fn=None,
            logits_processor=LogitsProcessorList(),
        )

    def next_tokens(self, logits: torch.Tensor, answers: Sequence[Sequence[int]]) -> list[int]:
        """Return the best token of each row.

        `logits` has shape [rows, vocabulary]; `answers` has each row's tokens so far.
        """
        if self._processors:
            rows = [self._processors(self._ids(answer).to(logits.device), logits[i : i + 1])
                    for i, answer in enumerate(answers)]  # fmt: skip
            logits = torch.cat(rows)
        found: list[int] = torch.argmax(logits, dim=-1).tolist()
        return found

    def criterion(self, prompt: Sequence[int]) -> Any:
        """Return LLaVA's own stopping criterion for one row."""
        from llava.mm_utils import KeywordsStoppingCriteria

        return KeywordsStoppingCriteria([self._stop], self._tokenizer, torch.tensor([list(prompt)]))

    def has_ended(self, answer: Sequence[int], criterion: Any) -> bool:
        """Return whether the last token ends the answer."""
        if answer[-1] in self._ends or len(answer) >= self.most_tokens:
            return True
        return bool(criterion(self._ids(answer), None))

    def text(self, answer: Sequence[int]) -> str:
        """Return an answer as text, as the wrapper decodes it."""
        found: str = self._tokenizer.batch_decode(self._ids(answer), skip_special_tokens=True)[0]
        return found.strip()

    def _ids(self, answer: Sequence[int]) -> torch.Tensor:
        return torch.tensor([[self.start, *answer]], dtype=torch.long)
