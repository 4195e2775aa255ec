"""VLMEvalKit's wrapper of a model with remote code, as small as it can be: a random LLaMA behind InternVL's interface.

generate() takes token ids and decodes embeddings in `language_model`; the wrapper prints, decodes greedily or by beam
search, and reads no weights of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

WORDS, PROMPT, MOST = 50, (1, 7, 9, 11), 6


class Tokenizer:
    """A word for each token id; 1 begins, 2 ends."""

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """Return the words of token ids."""
        return " ".join(f"word{one}" for one in ids if one > 2)


class Inner(torch.nn.Module):
    """The remote code's model."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        self.language_model = LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, **shape)).eval()
        self.config = self.language_model.config

    def generate(self, *, input_ids: torch.Tensor, pixel_values: Any, **kwargs: Any) -> torch.Tensor:
        """Return token ids after a BOS, as transformers 4.37.2 does for embeddings."""
        embeds = self.language_model.get_input_embeddings()(input_ids)
        found: torch.Tensor = self.language_model.generate(inputs_embeds=embeds, pad_token_id=0, **kwargs)
        return found


class Wrapper:
    """The wrapper: `asked` are the messages it was asked."""

    def __init__(self, model_path: str, num_beams: int = 1, **kwargs: Any) -> None:
        self.kwargs = {"max_new_tokens": MOST, "do_sample": False, **kwargs}
        self.model_path, self.num_beams = model_path, num_beams
        self.model, self.tokenizer = Inner(), Tokenizer()
        self.asked: list[Any] = []

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        """Return the answer, and print as InternVL does."""
        self.asked.append(message)
        ids = torch.tensor([PROMPT])
        output = self.model.generate(input_ids=ids, pixel_values=None, num_beams=self.num_beams, **self.kwargs)
        answer = self.tokenizer.decode(output[0].tolist())
        print("InternVL model version:", answer)
        return answer

    def generate(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        """Return the answer, as VLMEvalKit's loop asks for it."""
        return self.generate_inner(message, dataset)
