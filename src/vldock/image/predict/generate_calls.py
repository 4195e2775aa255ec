"""Calls of generate(): their prompts and times, and the tokens they return.

A wrapper calls generate() of its model. LLaVA's and CogVLM's decode there; InternVL's and MiniCPM's remote code calls
generate() of a language model inside, which decodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vldock.image.predict.answer_stream import AnswerStreamer
from vldock.image.predict.prompt_sent import SentPrompt, describe_prompt

LANGUAGE_MODELS = ("language_model", "llm")  # attributes of InternVLChatModel and of MiniCPMV
Calls = list[tuple[SentPrompt, float]]


@contextmanager
def record(inner: Any, pieces: AnswerStreamer, *, stream: bool) -> Iterator[Calls]:
    """Record the prompt and start of each generate() of the model `inner`.

    Decoded tokens go to `pieces`: one by one, or with `stream` False (beam search) all at the end.
    """
    calls: Calls = []

    def noted(generate: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append((describe_prompt(inner, args, kwargs), time.monotonic()))
            return generate(*args, **kwargs)

        return call

    def streamed(generate: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if stream:
                return generate(*args, streamer=pieces, **kwargs)
            output = generate(*args, **kwargs)
            pieces.count(output, prompt=kwargs.get("input_ids"))
            return output

        return call

    with _wrapped(decoder_of(inner), streamed), _wrapped(inner, noted):
        yield calls


def decoder_of(inner: Any) -> Any:
    """Return the part of a model whose generate() decodes."""
    return next((getattr(inner, name) for name in LANGUAGE_MODELS if hasattr(inner, name)), inner)


@contextmanager
def _wrapped(model: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    generate = model.generate
    model.generate = wrap(generate)
    try:
        yield
    finally:
        model.generate = generate
