"""Streamer of an answer: its pieces add up to the final text.

transformers' own TextStreamer starts decoding afresh after each newline, and a SentencePiece tokenizer then drops the
blank the next word begins with; here the whole answer is decoded at each token, as it is at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers.generation.streamers import BaseStreamer

from vldock.image.predict.partial_text import stable_prefix

OnText = Callable[[str], None]


class AnswerStreamer(BaseStreamer):  # type: ignore[misc]  # transformers has no types
    """Streamer for generate(): counts tokens, times the first, passes text to `on_text`.

    Each piece of text consists of whole words.
    """

    def __init__(self, tokenizer: Any, on_text: OnText | None = None) -> None:
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._ids: list[int] = []
        self._begun = False
        self.shown = ""
        self.tokens = 0
        self.first_at: float | None = None

    def put(self, value: Any) -> None:
        """Receive token ids of shape (1, n).

        The prompt comes first, then token after token.
        It is one BOS where a language model is given embeddings (LLaVA, InternVL).
        """
        if not self._begun:
            self._begun = True
            return
        self._ids += value.flatten().tolist()
        self.first_at = self.first_at or time.monotonic()
        self.tokens += 1
        if self._on_text:
            self._show(stable_prefix(self._decoded()))

    def count(self, output: Any, *, prompt: Any = None) -> None:
        """Count the tokens of generate()'s whole output (1, n): after the prompt (1, m), or one BOS."""
        self.tokens += output.shape[-1] - (1 if prompt is None else prompt.shape[-1])

    def end(self) -> None:
        """Do nothing: `finish` is called with the answer after generate()."""

    def finish(self, answer: str) -> None:
        """Show the rest of the answer.

        All of it, on a new line, if it differs from the text shown so far.
        """
        if self._on_text and not answer.startswith(self.shown):
            self._on_text("\n")
            self.shown = ""
        self._show(answer)

    def _decoded(self) -> str:
        text: str = self._tokenizer.decode(self._ids, skip_special_tokens=True).lstrip()
        return text

    def _show(self, text: str) -> None:
        if self._on_text and text.startswith(self.shown) and len(text) > len(self.shown):
            self._on_text(text[len(self.shown) :])
            self.shown = text
