"""The answer as it comes: a streamer for transformers' generate() whose pieces add up to the final text.

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
    """Counts tokens and the time to the first; hands pieces of text, whole words each, to `on_text`."""

    def __init__(self, tokenizer: Any, on_text: OnText | None = None) -> None:
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._ids: list[int] = []
        self._begun = False
        self.shown = ""
        self.tokens = 0
        self.first_at: float | None = None

    def put(self, value: Any) -> None:
        """Take what generate() gives: first the prompt (LLaVA's is one BOS), then token after token; shape (1, n)."""
        self._ids += value.flatten().tolist()
        if not self._begun:
            self._begun = True
            return
        self.first_at = self.first_at or time.monotonic()
        self.tokens += 1
        if self._on_text:
            self._show(stable_prefix(self._decoded()))

    def end(self) -> None:
        """Do nothing: the end of generate() is where `finish` is called, with the answer."""

    def finish(self, answer: str) -> None:
        """Say what is left of the answer; all of it on a line of its own if it is not what was said so far."""
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
