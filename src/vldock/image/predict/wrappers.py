"""Wrappers of models: VLMEvalKit's for its models, vldock's for custom ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vldock.image.workspace.model_location import ModelLocation

# warnings of VLMEvalKit and the libraries about their own defaults; reasons: tests/support/containers/log_lines.py
EXPECTED = (
    "Following kwargs received",
    "You have modified the pretrained model",
    "`do_sample` is set to",
    "TypedStorage",
    "`resume_download` is",
    "Model .* does not support interleaved input",
)


def is_custom(place: ModelLocation) -> bool:
    """Return whether a model is custom.

    A custom model is prompted by its own template and tiles.
    """
    return not place.declared


def make(place: ModelLocation, base: str | None, options: dict[str, Any]) -> Any:
    """Load the model at `place` on `base` into its wrapper.

    `options` are the wrapper's decoding arguments.
    """
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
    """Patch LLaVA's loader, so that the wrapper loads `place` on `base`.

    The wrapper imports the loader when it is made.
    """
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
    """Suppress known, harmless warnings and progress bars."""
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
