"""The wrapper run.py asks a model through: VLMEvalKit's for the models it knows, vldock's for one of somebody's own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vldock.image.workspace.model_location import ModelLocation

# what VLMEvalKit and the libraries say of their own defaults; tests/support/containers/log_lines.py has the reasons
EXPECTED = (
    "Following kwargs received",
    "You have modified the pretrained model",
    "`do_sample` is set to",
    "TypedStorage",
    "`resume_download` is",
)


def is_custom(place: ModelLocation) -> bool:
    """Tell whether a model is asked as it was trained (its template, its tiles), and not as VLMEvalKit's models are."""
    return not place.declared


def make(place: ModelLocation, base: str | None, options: dict[str, Any]) -> Any:
    """Load `place` on `base` into its wrapper; `options` are the wrapper's decoding arguments."""
    kind: Any
    with quiet_libraries():
        if is_custom(place):
            from vldock.image.vlmeval_hooks.models.own_llava import OwnLLaVA

            kind = OwnLLaVA
        else:
            from vlmeval.vlm.llava.llava import LLaVA

            kind = LLaVA
        with _through_workspace(place, base):
            return kind(model_path=place.path, **options)


@contextmanager
def _through_workspace(place: ModelLocation, base: str | None) -> Iterator[None]:
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
def quiet_libraries() -> Iterator[None]:
    """Keep warnings that are known and harmless, and progress bars, out of a person's way."""
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
