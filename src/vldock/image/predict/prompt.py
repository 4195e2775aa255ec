"""What a call of generate() sends: the passport's hash of its tokens, its length, whether LLaVA cuts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from vldock.image.vlmeval_hooks import notes, prompts


class Sent(TypedDict):
    """`length` counts an image as its patches (576); `limit` None: the model cuts nothing."""

    tokens: str
    length: int
    limit: int | None
    cut: bool


def sent(inner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Sent:
    """Return it for a LLaVA model's generate(); the ids, of shape (1, n), come first or as `inputs`.

    Source: llava_arch.py, prepare_inputs_labels_for_multimodal: only a prompt with images is cut.
    """
    ids = args[0] if args else kwargs.get("input_ids", kwargs.get("inputs"))
    limit = prompts.token_limit(inner)
    note = notes.of_prompt(
        ids[0].tolist() if ids is not None else [],
        patches=prompts.patches(inner),
        limit=limit,
        arguments={},
        cut=kwargs.get("images") is not None,
    )
    return {"tokens": note["tokens"], "length": note["length"], "limit": limit, "cut": note.get("cut", False)}
