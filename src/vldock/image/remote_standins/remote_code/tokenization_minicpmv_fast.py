"""Tokenizer of the stand-in: Qwen2's, with the ids of picture and slice marks."""

from __future__ import annotations

from transformers.models.qwen2 import Qwen2TokenizerFast


class MiniCPMVTokenizerFast(Qwen2TokenizerFast):  # type: ignore[misc]
    """Qwen2's byte-level tokenizer; `bos_id` is the id of <|im_start|>."""

    im_start = "<image>"
    im_end = "</image>"
    slice_start = "<slice>"
    slice_end = "</slice>"

    @property
    def bos_id(self) -> int:
        """Id of tokenizer_config.json's bos_token."""
        return int(self.bos_token_id)

    @property
    def eos_id(self) -> int:
        """Id of tokenizer_config.json's eos_token."""
        return int(self.eos_token_id)

    @property
    def im_start_id(self) -> int:
        """Id of the mark before a picture's tokens."""
        return int(self.convert_tokens_to_ids(self.im_start))

    @property
    def im_end_id(self) -> int:
        """Id of the mark after a picture's tokens."""
        return int(self.convert_tokens_to_ids(self.im_end))

    @property
    def slice_start_id(self) -> int:
        """Id of the mark before a slice's tokens."""
        return int(self.convert_tokens_to_ids(self.slice_start))

    @property
    def slice_end_id(self) -> int:
        """Id of the mark after a slice's tokens."""
        return int(self.convert_tokens_to_ids(self.slice_end))
