"""Record what reaches a stand-in's decoder for every sample.

VLMEvalKit's data sets and the model's own wrapper make the prompts; none is written here.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vldock.image.standin.recipe.record import Message, messages

Vary = Callable[[Any, str], Iterator[AbstractContextManager[Any]]]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sample's prompt as the decoder reads it: float32 (length, width), and the answer it is to give."""

    benchmark: str
    row: int
    answer: str
    prompt: Tensor


class FirstInput:
    """Forward pre-hook that keeps the first embedded input of each question."""

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder
        self.prompt: Tensor | None = None

    def __call__(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep the input's first row."""
        if self.prompt is not None:
            return
        embedded = kwargs.get("inputs_embeds")
        if embedded is None:
            ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            embedded = self.decoder.get_input_embeddings()(ids)
        self.prompt = embedded[0].detach().float().clone()


def ask_once(wrapper: Any, benchmark: str) -> Iterator[AbstractContextManager[Any]]:
    """Yield one context that changes nothing."""
    yield contextlib.nullcontext()


def record(wrapper: Any, decoder: Any, vary: Vary = ask_once) -> Iterator[Recorded]:
    """Yield every sample of every benchmark as `wrapper` sends it to `decoder`, once in each context of `vary`."""
    first = FirstInput(decoder)
    handle = decoder.register_forward_pre_hook(first, with_kwargs=True)
    try:
        with torch.inference_mode():
            for item in messages(wrapper):
                for context in vary(wrapper, item.benchmark):
                    with context:
                        prompt = ask(wrapper, first, item)
                    yield Recorded(item.benchmark, item.row, item.answer, prompt)
    finally:
        handle.remove()


def ask(wrapper: Any, first: FirstInput, item: Message) -> Tensor:
    """Return the embedded prompt of one sample."""
    first.prompt = None
    with contextlib.redirect_stdout(io.StringIO()):
        wrapper.generate(message=item.message, dataset=item.benchmark)
    if first.prompt is None:
        raise LookupError(f"{item.benchmark} row {item.row}: nothing reached the decoder")
    return first.prompt
