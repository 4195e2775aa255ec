"""Loaded model that answers requests as run.py does.

It uses VLMEvalKit's own wrapper of the model.

`load` once, `ask` often: the command line does, and so can a resident worker. Nothing here reads the
command line or prints; remarks are part of the Answer, and partial text goes to `on_text`.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from vldock.common.errors import EvaluationFailed, InputRefused, UsageError, VldockError
from vldock.common.matrix import MODELS, Model
from vldock.common.prompt_style import UPSTREAM, VARIABLE
from vldock.image.answering.model_facts import Facts, facts_of
from vldock.image.predict import generate_calls, remote_code_wrappers, wrappers
from vldock.image.predict.answer_stream import AnswerStreamer, OnText
from vldock.image.predict.pictures import Picture, PictureReader
from vldock.image.predict.prompt_sent import SentPrompt
from vldock.image.predict.request import Answer, Request
from vldock.image.vlmeval_hooks.files.output_folder import is_standin
from vldock.image.vlmeval_hooks.models import requirements
from vldock.image.vlmeval_hooks.process import error_lines
from vldock.image.vlmeval_hooks.provenance import prompts, sample_notes, special_tokens
from vldock.image.weights import model_files
from vldock.image.workspace import model_location, naming
from vldock.image.workspace.model_location import ModelLocation, find_cached


@dataclass(frozen=True)
class Loaded:
    """Model in memory: wrapper, weights' location, device facts, seconds to load.

    `remote` is the declared model where its classes are remote code, None for a LLaVA.
    """

    wrapper: Any
    place: ModelLocation
    facts: Facts
    seconds: float
    remote: Model | None = None

    @property
    def streams(self) -> bool:
        """True if an answer comes word by word; beam search has none before its end."""
        return getattr(self.wrapper, "num_beams", 1) == 1

    @property
    def wording(self) -> str:
        """Wording of questions: VLDOCK_PROMPT's template, or `trained` for a custom model.

        A model with remote code has VLMEvalKit's wording only.
        """
        if self.remote:
            return UPSTREAM
        return "trained" if wrappers.is_custom(self.place) else prompts.template()

    def identity(self) -> list[Any]:
        """Return everything an answer depends on besides its request."""
        others = self.remote.needs if self.remote else filter(None, [model_files.tower_of(self.place.path)])
        weights = [model_location.fingerprint(place) for place in (self.place, *map(_location, others))]
        decoding = sample_notes.plain_arguments(self.wrapper.kwargs)
        return [weights, self.wording, decoding, self.facts.device, self.facts.dtype]

    def ask(self, request: Request, *, images: PictureReader | None = None, on_text: OnText | None = None) -> Answer:
        """Return the answer to a request; `images` reads its images.

        Raises the errors of PictureReader.gather.
        """
        with (images or PictureReader()).gather(request.images) as pictures:
            return self.answer(request, pictures, on_text=on_text)

    def answer(self, request: Request, pictures: Sequence[Picture], *, on_text: OnText | None = None) -> Answer:
        """Return the answer to a request on images already read.

        Partial text goes to `on_text`. Raises EvaluationFailed with what the model raised.
        """
        if self.remote:
            remote_code_wrappers.require_images(self.remote, request)
        begun = time.monotonic()
        with _prints_dropped(on_text) as shown:
            pieces = AnswerStreamer(self.wrapper.tokenizer, shown)
            message = request.message(tuple(str(picture.path) for picture in pictures))
            with wrappers.quiet_libraries(), self._recorded(pieces) as calls:
                text: str = self.wrapper.generate_inner(message)
        ended = time.monotonic()
        pieces.finish(text)
        sent, at = calls[-1]
        first = pieces.first_at or ended
        marks = {"prepare": at - begun, "first_token": first - at, "generate": ended - first}
        notes = [f"{picture.source}: {note}" for picture in pictures for note in picture.notes]
        notes += self._remarks(request, text, prompt=sent["length"], tokens=pieces.tokens)
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

    def _remarks(self, request: Request, text: str, *, prompt: int, tokens: int) -> Iterator[str]:
        """Yield remarks on how the wrapper read the question and how the answer came out."""
        if self.remote:
            yield from remote_code_wrappers.remark_order(self.remote, request)
        yield from remote_code_wrappers.remark_room(self.wrapper.kwargs, prompt=prompt, answer=tokens)
        for token in special_tokens.describe_answer(text, special_tokens.list_tokens(self.wrapper)).values():
            yield f"the answer begins with {token!r}, a special token of the model's tokenizer"

    @contextmanager
    def _recorded(self, pieces: AnswerStreamer) -> Iterator[generate_calls.Calls]:
        """Record generate() calls; raise EvaluationFailed for an error of the model."""
        try:
            with generate_calls.record(self.wrapper.model, pieces, stream=self.streams) as calls:
                yield calls
        except (VldockError, BrokenPipeError):  # the second: nobody reads the streamed answer any more
            raise
        except Exception as error:
            raise EvaluationFailed(f"{self.place.name} gave no answer: {error_lines.one_line(error)}") from error


def load(name: str, *, base: str | None = None, prompt: str | None = None, max_new_tokens: int | None = None) -> Loaded:
    """Load a model by name into the wrapper run.py uses for it.

    The name is resolved by model_location.resolve.

    `base` is the model of an adapter; `prompt` is a wording as in VLDOCK_PROMPT; `max_new_tokens` None leaves
    run.py's limit. Raises the errors of model_location.resolve and require_whole, InputRefused for a model that is
    neither a LLaVA nor declared, UsageError for a `base` or `prompt` the model does not take, EnvironmentUnfit without
    the memory for it.
    """
    place, remote = find(name)
    options = {"max_new_tokens": max_new_tokens} if max_new_tokens else {}
    if remote:
        remote_code_wrappers.require_options(remote, base=base, prompt=prompt)
    elif prompt and wrappers.is_custom(place):
        raise UsageError(f"--prompt {prompt}: {name} is asked as it was trained", hint="leave --prompt out")
    if prompt:
        os.environ[VARIABLE] = prompt
    prompts.template()
    requirements.require_memory([place.name, place.repo or place.name])
    begun = time.monotonic()
    wrapper = remote_code_wrappers.make(remote, place, options) if remote else wrappers.make(place, base, options)
    return Loaded(wrapper, place, facts_of(wrapper), round(time.monotonic() - begun, 3), remote)


def find(name: str, request: Request | None = None) -> tuple[ModelLocation, Model | None]:
    """Return a model's location, and its declaration where it has remote code.

    Loads nothing. Raises as `load`, and UsageError where the model cannot read the images of `request`.
    """
    place = model_location.resolve(name)
    remote = remote_code_wrappers.find(place)
    if remote is None and naming.is_llava(place) is False:
        names = ", ".join(model.name for model in MODELS if model.remote_code)
        raise InputRefused(
            f"{place.path} is no LLaVA by its config.json",
            expected=f"a checkpoint in LLaVA's own format, or one of {names}",
            hint="a folder of such a model is named as its repository: InternVL2-2B",
        )
    if remote and request:
        remote_code_wrappers.require_images(remote, request)
    return place, remote


def _location(repo: str) -> ModelLocation:
    """Return the location of a tower or tokenizer, which the libraries read by its name."""
    return model_location.resolve(str(Path(repo).absolute())) if Path(repo).is_dir() else find_cached(repo)


@contextmanager
def _prints_dropped(on_text: OnText | None) -> Iterator[OnText | None]:
    """Drop what a wrapper prints (InternVL's: prompt and answer), but not what `on_text` prints."""
    shown = partial(_show, on_text, sys.stdout) if on_text else None
    with redirect_stdout(io.StringIO()):
        yield shown


def _show(on_text: OnText, stream: TextIO, text: str) -> None:
    with redirect_stdout(stream):
        on_text(text)


def _cut(sent: SentPrompt) -> list[str]:
    if not sent["cut"]:
        return []
    lengths = f"the prompt is {sent['length']} tokens long and the model reads {sent['limit']}"
    return [f"{lengths}: the end, the question with it, is lost"]
