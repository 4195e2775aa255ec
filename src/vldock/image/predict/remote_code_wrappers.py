"""Models with remote code: VLMEvalKit's own wrapper of each, and the images it reads."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError, VldockError
from vldock.common.matrix import Model, find_remote_code
from vldock.image.predict.request import MARK, Request
from vldock.image.predict.wrappers import quiet_libraries
from vldock.image.weights import model_files
from vldock.image.workspace import model_location, naming
from vldock.image.workspace.model_location import ModelLocation

# Source: generate_v2 of vlmeval/vlm/internvl/internvl_chat.py, generate_inner of vlmeval/vlm/cogvlm.py
IMAGE_FIRST = ("InternVL2-2B", "InternVL2-8B", "cogvlm-chat")  # a lone image comes before the text; none is an error
ONE_IMAGE = ("cogvlm-chat",)


def find(place: ModelLocation) -> Model | None:
    """Return the model with remote code at `place`; None for a LLaVA.

    A folder is such a model by its name, which is the repository's.
    """
    return None if naming.is_llava(place) else find_remote_code(place.name, place.repo, Path(place.name).name)


def require_options(model: Model, *, base: str | None, prompt: str | None) -> None:
    """Raise UsageError for options that are LLaVA's only."""
    if base:
        raise UsageError(
            f"--model-base {base}: {model.name} is no LLaVA", expected="adapters of LLaVA only", hint="leave it out"
        )
    if prompt == "llava":
        raise UsageError(
            f"--prompt llava: {model.name} is no LLaVA, and words questions by its own template",
            hint="leave --prompt out",
        )


def require_images(model: Model, request: Request) -> None:
    """Raise UsageError for a number of images that the wrapper cannot read."""
    count = len(request.images)
    if not count and model.name in IMAGE_FIRST:
        raise UsageError(f"{model.name} answers about an image, and there is none", hint="--image FILE")
    if count > 1 and model.name in ONE_IMAGE:
        raise UsageError(
            f"{model.name} reads one image, and there are {count}",
            expected="one image",
            hint="a question for each, or another model",
        )


def remark_order(model: Model, request: Request) -> list[str]:
    """Return a remark where the wrapper moves the image of a question."""
    marked = MARK in request.question and not request.question.lstrip().startswith(MARK)
    if marked and len(request.images) == 1 and model.name in IMAGE_FIRST:
        return [f"{model.name} reads a lone image before the text, wherever {MARK} stands"]
    return []


def remark_room(decoding: Mapping[str, Any], *, prompt: int, answer: int) -> list[str]:
    """Return a remark where an answer of `answer` tokens ended for want of room after its prompt.

    CogVLM's max_length counts both.
    """
    most = decoding.get("max_length")
    if not most or "max_new_tokens" in decoding or prompt + answer < most:
        return []
    return [f"prompt and answer have {most} tokens, {prompt} of them the prompt's: the answer ends after {answer}"]


def make(model: Model, place: ModelLocation, options: dict[str, Any]) -> Any:
    """Load a model with remote code as run.py does.

    `options` are the wrapper's decoding arguments. Raises EnvironmentUnfit where a repository it needs is not here,
    InputRefused for refused weights or code, else ModelLoadError.
    """
    model_location.print_location(place)
    model_location.require_whole(place)
    for repo in model.needs:
        model_location.find_cached(repo)
    with quiet_libraries():
        from vlmeval.config import supported_VLM

        from vldock.image.vlmeval_hooks.models import build

        factory = supported_VLM[model.name]
        if place.local and place.folder != model_files.folder_of(model.repo):
            factory = functools.partial(factory.func, **{**factory.keywords, "model_path": place.path})
        build.forget_failures()
        try:
            return build.build({model.name: factory}, model.name, options)
        except build.ModelLoadError as error:
            cause = error.__cause__
            raise (cause if isinstance(cause, VldockError) else error) from cause
