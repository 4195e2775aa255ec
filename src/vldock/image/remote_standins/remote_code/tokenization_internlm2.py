"""Tokenizer of the InternVL2 stand-in: SentencePiece pieces, ChatML and image marks as added tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import sentencepiece
from transformers import PreTrainedTokenizer


class InternLM2Tokenizer(PreTrainedTokenizer):  # type: ignore[misc]
    """Slow tokenizer over tokenizer.model; a prompt begins with <s>."""

    vocab_files_names = {"vocab_file": "tokenizer.model"}  # noqa: RUF012 - as transformers declares it
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str, add_bos_token: bool = True, **options: Any) -> None:
        self.vocab_file = vocab_file
        self.add_bos_token = add_bos_token
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=vocab_file)
        super().__init__(add_bos_token=add_bos_token, **options)

    @property
    def vocab_size(self) -> int:
        """Number of pieces, without added tokens."""
        return int(self.pieces.vocab_size())

    def get_vocab(self) -> dict[str, int]:
        """Return every piece and added token with its id."""
        known = {self.pieces.id_to_piece(number): number for number in range(self.vocab_size)}
        return {**known, **self.added_tokens_encoder}

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        pieces: list[str] = self.pieces.encode(text, out_type=str)
        return pieces

    def _convert_token_to_id(self, token: str) -> int:
        return int(self.pieces.piece_to_id(token))

    def _convert_id_to_token(self, index: int) -> str:
        return str(self.pieces.id_to_piece(index))

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return the text of `tokens`."""
        return str(self.pieces.decode(tokens))

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Return the ids with <s> before them."""
        start = [self.bos_token_id] if self.add_bos_token else []
        return start + token_ids_0 + (token_ids_1 or [])

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Copy tokenizer.model into a folder."""
        path = Path(save_directory) / f"{filename_prefix + '-' if filename_prefix else ''}tokenizer.model"
        shutil.copyfile(self.vocab_file, path)
        return (str(path),)
