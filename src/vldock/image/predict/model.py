"""Loaded model that answers requests as run.py does.

It uses VLMEvalKit's own LLaVA wrapper.

`load` once, `ask` often: the command line does, and so can a resident worker. Nothing here reads the
command line or prints; remarks are part of the Answer, and partial text goes to `on_text`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vldock.common.errors import InputRefused, UsageError
from vldock.common.prompt_style import VARIABLE
from vldock.image.answering.model_facts import Facts, facts_of
from vldock.image.predict import wrappers
from vldock.image.predict.answer_stream import AnswerStreamer, OnText
from vldock.image.predict.pictures import Picture, PictureReader
from vldock.image.predict.prompt_sent import SentPrompt, describe_prompt
from vldock.image.predict.request import Answer, Request
from vldock.image.vlmeval_hooks.files.output_folder import is_standin
from vldock.image.vlmeval_hooks.models import requirements
from vldock.image.vlmeval_hooks.provenance import prompts
from vldock.image.workspace import model_location, naming
from vldock.image.workspace.model_location import ModelLocation


@dataclass(frozen=True)
class Loaded:
    """Model in memory: wrapper, weights' location, device facts, seconds to load."""

    wrapper: Any
    place: ModelLocation
    facts: Facts
    seconds: float

    @property
    def limit(self) -> int:
        """Most tokens of an answer."""
        return int(self.wrapper.kwargs["max_new_tokens"])

    @property
    def wording(self) -> str:
        """Wording of questions: VLDOCK_PROMPT's template, or `trained` for a custom model."""
        return "trained" if wrappers.is_custom(self.place) else prompts.template()

    def identity(self) -> list[Any]:
        """Return everything an answer depends on besides its request."""
        return [model_location.fingerprint(self.place), self.wording, self.limit, self.facts.device, self.facts.dtype]

    def ask(self, request: Request, *, images: PictureReader | None = None, on_text: OnText | None = None) -> Answer:
        """Return the answer to a request; `images` reads its images.

        Raises the errors of PictureReader.gather.
        """
        with (images or PictureReader()).gather(request.images) as pictures:
            return self.answer(request, pictures, on_text=on_text)

    def answer(self, request: Request, pictures: Sequence[Picture], *, on_text: OnText | None = None) -> Answer:
        """Return the answer to a request on images already read.

        Partial text goes to `on_text`.
        """
        begun = time.monotonic()
        pieces = AnswerStreamer(self.wrapper.tokenizer, on_text)
        message = request.message(tuple(str(picture.path) for picture in pictures))
        with wrappers.quiet_libraries(), _record_calls(self.wrapper.model, pieces) as calls:
            text: str = self.wrapper.generate_inner(message)
        ended = time.monotonic()
        pieces.finish(text)
        sent, at = calls[-1]
        first = pieces.first_at or ended
        marks = {"prepare": at - begun, "first_token": first - at, "generate": ended - first}
        notes = [f"{picture.source}: {note}" for picture in pictures for note in picture.notes]
        return Answer(
            answer=text,
            tokens=pieces.tokens,
            prompt_tokens=sent["length"],
            prompt=self.wording,
            prompt_sha256=sent["tokens"],
            cut=sent["cut"],
            seconds={name: round(value, 4) for name, value in marks.items()},
            model=self.place.name,
            revision=self.place.revision,
            path=self.place.path,
            device=self.facts.device,
            dtype=self.facts.dtype,
            standin=is_standin(),
            notes=(*notes, *_cut(sent)),
        )


def load(name: str, *, base: str | None = None, prompt: str | None = None, max_new_tokens: int | None = None) -> Loaded:
    """Load a model by name into the wrapper run.py uses for it.

    The name is resolved by model_location.resolve.

    `base` is the model of an adapter; `prompt` is a wording as in VLDOCK_PROMPT; `max_new_tokens` None leaves
    run.py's limit. Raises the errors of model_location.resolve and require_whole, InputRefused for a model that is no
    LLaVA, UsageError for a `prompt` where the model brings its own wording, EnvironmentUnfit without the memory for it.
    """
    requirements.require_memory([name])
    place = model_location.resolve(name)
    if naming.is_llava(place) is False:
        raise InputRefused(
            f"{place.path} is no LLaVA by its config.json", expected="a checkpoint in LLaVA's own format"
        )
    if prompt and wrappers.is_custom(place):
        raise UsageError(f"--prompt {prompt}: {name} is asked as it was trained", hint="leave --prompt out")
    if prompt:
        os.environ[VARIABLE] = prompt
    prompts.template()
    begun = time.monotonic()
    wrapper = wrappers.make(place, base, {"max_new_tokens": max_new_tokens} if max_new_tokens else {})
    return Loaded(wrapper, place, facts_of(wrapper), round(time.monotonic() - begun, 3))


@contextmanager
def _record_calls(inner: Any, pieces: AnswerStreamer) -> Iterator[list[tuple[SentPrompt, float]]]:
    """Record the prompts and times of generate() calls, and stream their tokens."""
    generate, seen = inner.generate, []

    def noted(*args: Any, **kwargs: Any) -> Any:
        seen.append((describe_prompt(inner, args, kwargs), time.monotonic()))
        return generate(*args, streamer=pieces, **kwargs)

    inner.generate = noted
    try:
        yield seen
    finally:
        inner.generate = generate


def _cut(sent: SentPrompt) -> list[str]:
    if not sent["cut"]:
        return []
    lengths = f"the prompt is {sent['length']} tokens long and the model reads {sent['limit']}"
    return [f"{lengths}: the end, the question with it, is lost"]
