"""Prompt sent to generate().

The passport's hash of it, its length, and whether it is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from vldock.image.llava_hooks import positions
from vldock.image.vlmeval_hooks.provenance import prompts, sample_notes


class SentPrompt(TypedDict):
    """Hash, length in positions, limit, and whether LLaVA cuts the prompt.

    `length` counts every position of an image (576; LLaVA-NeXT: up to 2928); `limit` None: nothing is cut.
    """

    tokens: str
    length: int
    limit: int | None
    cut: bool


def describe_prompt(inner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> SentPrompt:
    """Return the prompt of a call to a LLaVA's generate().

    The ids, of shape (1, n), come first or as `inputs`.

    Source: llava_arch.py, prepare_inputs_labels_for_multimodal: only a prompt with images is cut.
    """
    ids = args[0] if args else kwargs.get("input_ids", kwargs.get("inputs"))
    limit = prompts.token_limit(inner)
    note = sample_notes.describe_prompt(
        ids[0].tolist() if ids is not None else [],
        images=positions.count_per_image(inner, kwargs.get("images"), kwargs.get("image_sizes")),
        limit=limit,
        arguments={},
        cut=kwargs.get("images") is not None,
    )
    return {"tokens": note["tokens"], "length": note["length"], "limit": limit, "cut": note.get("cut", False)}
