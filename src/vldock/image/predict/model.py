"""A model that answers requests: VLMEvalKit's own LLaVA wrapper, so that an answer is the one run.py gets.

`load` once, `ask` often: the command line does, and so can a worker that stays in the container. Nothing here reads the
command line or prints; what is to be said travels in the Answer, and text on its way goes to `on_text`.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vldock.common.passport_prompts import VARIABLE
from vldock.image.predict.pictures import Picture, Reader
from vldock.image.predict.request import Answer, Request
from vldock.image.predict.stream import OnText, Pieces
from vldock.image.shared_model import Facts, facts_of
from vldock.image.vlmeval_hooks import prompts
from vldock.image.vlmeval_hooks.runroot import standin
from vldock.image.workspace import places
from vldock.image.workspace.places import Place

# what run.py prints of the wrapper's own arguments; patterns as tests/support/log_lines.py lists them
EXPECTED = (
    "Following kwargs received",
    "You have modified the pretrained model",
    "`do_sample` is set to",
    "TypedStorage",
    "`resume_download` is",
)


@dataclass(frozen=True)
class Loaded:
    """A model in memory: the wrapper, where its weights came from, where it computes, seconds it took to load."""

    wrapper: Any
    place: Place
    facts: Facts
    seconds: float

    @property
    def limit(self) -> int:
        """The most tokens an answer may have."""
        return int(self.wrapper.kwargs["max_new_tokens"])

    def identity(self) -> list[Any]:
        """Return what an answer depends on besides its request."""
        return [places.fingerprint(self.place), prompts.template(), self.limit, self.facts.device, self.facts.dtype]

    def ask(self, request: Request, *, images: Reader | None = None, on_text: OnText | None = None) -> Answer:
        """Return the answer to a request whose images `images` reads; raises what Reader.gathered raises."""
        with (images or Reader()).gathered(request.images) as pictures:
            return self.answer(request, pictures, on_text=on_text)

    def answer(self, request: Request, seen: Sequence[Picture], *, on_text: OnText | None = None) -> Answer:
        """Return the answer to a request whose images are at hand; text on its way goes to `on_text`."""
        begun = time.monotonic()
        pieces = Pieces(self.wrapper.tokenizer, on_text)
        message = request.message(tuple(str(picture.path) for picture in seen))
        with _quiet(), _watched(self.wrapper.model, pieces) as sent:
            text: str = self.wrapper.generate_inner(message)
        ended = time.monotonic()
        pieces.finish(text)
        first = pieces.first_at or ended
        marks = {"prepare": sent["at"] - begun, "first_token": first - sent["at"], "generate": ended - first}
        notes = [f"{picture.source}: {note}" for picture in seen for note in picture.notes]
        if sent["cut"]:
            limit = prompts.token_limit(self.wrapper.model)
            notes.append(
                f"the prompt is {sent['length']} tokens long and the model reads {limit}: "
                "the end, the question with it, is lost"
            )
        return Answer(
            answer=text,
            tokens=pieces.tokens,
            prompt_tokens=sent["length"],
            prompt=prompts.template(),
            prompt_sha256=sent["tokens"],
            cut=sent["cut"],
            seconds={name: round(value, 4) for name, value in marks.items()},
            model=self.place.name,
            revision=self.place.revision,
            path=self.place.path,
            device=self.facts.device,
            dtype=self.facts.dtype,
            standin=standin(),
            notes=tuple(notes),
        )


def load(name: str, *, base: str | None = None, prompt: str | None = None, max_new_tokens: int | None = None) -> Loaded:
    """Load the model of that name (places.resolve) into VLMEvalKit's LLaVA wrapper.

    `base` is the model of an adapter; `prompt` words questions as VLDOCK_PROMPT does; `max_new_tokens` None leaves
    run.py's limit. Raises what places.resolve and require_whole raise.
    """
    if prompt:
        os.environ[VARIABLE] = prompt
    prompts.template()
    place = places.resolve(name)
    begun = time.monotonic()
    options = {"max_new_tokens": max_new_tokens} if max_new_tokens else {}
    with _quiet():
        from vlmeval.vlm.llava.llava import LLaVA

        with _through_workspace(place, base):
            wrapper = LLaVA(model_path=place.path, **options)
    return Loaded(wrapper, place, facts_of(wrapper), round(time.monotonic() - begun, 3))


@contextmanager
def _through_workspace(place: Place, base: str | None) -> Iterator[None]:
    """Let the wrapper, which imports LLaVA's loader when it is made, load `place` on `base`."""
    from llava.model import builder

    from vldock.image.workspace.builder import load_place

    def load_this(model_path: str, model_base: Any, model_name: str, **options: Any) -> Any:
        return load_place(place, base, model_name, **options)

    kept, builder.load_pretrained_model = builder.load_pretrained_model, load_this
    try:
        yield
    finally:
        builder.load_pretrained_model = kept


@contextmanager
def _watched(inner: Any, pieces: Pieces) -> Iterator[dict[str, Any]]:
    """Note what the next generate() is sent and when, and let its tokens go through `pieces`."""
    generate, sent = inner.generate, {}

    def noted(*args: Any, **kwargs: Any) -> Any:
        sent.update(prompts.measured(inner, args, kwargs) or {}, at=time.monotonic())
        return generate(*args, streamer=pieces, **kwargs)

    inner.generate = noted
    try:
        yield sent
    finally:
        del inner.generate


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings that are known and harmless, progress bars among them, out of a person's way."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # "using a model of type llava to instantiate llava_llama": every LLaVA checkpoint
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        for pattern in EXPECTED:
            warnings.filterwarnings("ignore", message=pattern)
        try:
            yield
        finally:
            logging.set_verbosity(level)
