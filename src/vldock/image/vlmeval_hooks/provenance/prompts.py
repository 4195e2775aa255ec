"""Prompts as sent to the model.

There is a note per sample, and a record of every prompt that was cut.
One JSON line a sample in `<model>_<benchmark>_prompts.jsonl` beside the predictions, so that a run that was killed and
resumed still knows its first prompts; sample_notes.py defines a line's fields. `VLDOCK_PROMPT` chooses how LLaVA's
wrapper formulates a question.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError
from vldock.common.inference_options import STOCK
from vldock.common.prompt_style import TEMPLATES, UPSTREAM
from vldock.image.answering.model_facts import facts_of
from vldock.image.llava_hooks import markers, positions
from vldock.image.vlmeval_hooks.provenance import sample_notes, special_tokens

SUFFIX = "_prompts.jsonl"
read = sample_notes.read

_pending: dict[str, Any] = {}
_loaded: dict[str, Any] = {}
_where: list[Path] = []

VARIABLE = "VLDOCK_PROMPT"


def template() -> str:
    """Return VLDOCK_PROMPT, `vlmevalkit` if not set; raise UsageError for any other value."""
    asked = os.environ.get(VARIABLE, "").strip() or UPSTREAM
    if asked not in TEMPLATES:
        raise UsageError(f"{VARIABLE}={asked}", expected=" or ".join(TEMPLATES))
    return asked


def render_llava(wrapper: Any, message: list[dict[str, Any]]) -> str | None:
    """Return the prompt in the wording of LLaVA's own evaluation (conv_templates).

    None keeps VLMEvalKit's wording.

    Source: llava/eval/model_vqa_loader.py, llava/conversation.py (vicuna_v1) of LLaVA 1.2.2.
    """
    if template() == UPSTREAM:
        return None
    from llava.conversation import conv_templates

    conversation = conv_templates["vicuna_v1"].copy()
    content = "".join(
        "<image>\n" if item["type"] == "image" else markers.disguise(str(item["value"])) for item in message
    )
    conversation.append_message(conversation.roles[0], content)
    conversation.append_message(conversation.roles[1], None)
    prompt: str = conversation.get_prompt()
    return prompt


def path_of(folder: str | Path, model: str, benchmark: str) -> Path:
    """Return the path of a cell's prompt notes."""
    return Path(folder) / f"{model}_{benchmark}{SUFFIX}"


def record_question(folder: str, model: str, benchmark: str, index: Any, message: Any) -> None:
    """Start the note of the sample `index`, about to be asked."""
    flush()
    _where[:] = [path_of(folder, model, benchmark)]
    _pending.update(_loaded, index=str(index))
    with _noting():
        _pending.update(sample_notes.describe_question(index, message))


def flush() -> None:
    """Write the note of the last sample."""
    if _pending and _where:
        sample_notes.append(_where[0], _pending)
    _pending.clear()


def describe_model(model: Any) -> dict[str, Any]:
    """Return the fields common to all notes of a model.

    Hardware and token limit.
    """
    return {"hardware": asdict(facts_of(model)), "limit": token_limit(getattr(model, "model", None))}


def record_model(note: Mapping[str, Any]) -> None:
    """Set the model of VLMEvalKit's own loop (`describe_model`).

    The loop asks this model from now on.
    """
    _loaded.clear()
    _loaded.update(note, engine=STOCK, batch=1)


@contextmanager
def use_template(name: str) -> Iterator[None]:
    """Word questions inside in the template `name`, whatever VLDOCK_PROMPT is."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = name
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        os.environ.update({} if before is None else {VARIABLE: before})


@contextmanager
def capture() -> Iterator[sample_notes.Note]:
    """Yield the note of the prompt sent inside.

    For a process that asks on another's behalf.
    """
    note: sample_notes.Note = {}
    _pending.clear()
    _pending["index"] = None
    try:
        yield note
    finally:
        note.update({name: value for name, value in _pending.items() if name != "index"})
        _pending.clear()


def merge_note(note: Mapping[str, Any]) -> None:
    """Add a note to the last sample.

    The note is that of the process that asked the model.
    """
    _pending.update(note)
    sample_notes.warn_if_cut(_pending, _pending.get("limit"))
    _warn_of_special_token()


def note_seed(seed: int) -> None:
    """Add the seed of a sample's random numbers to its note."""
    if _pending:
        _pending["seed"] = seed


def watch(model: Any) -> Any:
    """Return the model, with its generate() and its wrapper's generate() noted.

    Token ids sent and returned, arguments; an answer that begins with a special token.
    """
    record_model(describe_model(model))
    inner: Any = getattr(model, "model", None)
    generate = getattr(inner, "generate", None)
    if generate is None or getattr(model, "_vldock_noted", False):
        return model

    def noted(*args: Any, **kwargs: Any) -> Any:
        sent = None
        with _noting():
            sent = _note_prompt(inner, args, kwargs)
        output = generate(*args, **kwargs)
        with _noting():
            _note_answer(inner, sent, output)
        return output

    inner.generate = noted
    model.generate = _note_special_tokens(model)
    model._vldock_noted = True
    return model


@contextmanager
def _noting() -> Iterator[None]:
    """Catch any error of a note, record it and print it: the sample is answered all the same."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  generate() of another model takes and returns anything
        _pending["unnoted"] = f"{type(error).__name__}: {error}"
        print(f"sample {_pending.get('index')}: no full note: {_pending['unnoted']}", file=sys.stderr, flush=True)


def _note_special_tokens(model: Any) -> Any:
    generate = model.generate

    def noted(*args: Any, **kwargs: Any) -> Any:
        answer = generate(*args, **kwargs)
        if _pending:
            with _noting():
                _pending.update(special_tokens.describe_answer(answer, special_tokens.list_tokens(model)))
        _warn_of_special_token()
        return answer

    return noted


def _warn_of_special_token() -> None:
    if _where and _pending.get("index") is not None:
        special_tokens.warn_once(str(_where[0]), _pending)


def _note_prompt(inner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[int] | None:
    if not _pending:
        return None
    ids = args[0] if args else kwargs.get("input_ids", kwargs.get("inputs"))
    if not positions.is_llava(inner):
        _pending.update(sample_notes.describe_pixels(kwargs))
    if ids is None or not hasattr(ids, "tolist"):
        return None
    tokens: list[int] = ids[0].tolist()
    limit = token_limit(inner)
    images = positions.count_per_image(inner, kwargs.get("images"), kwargs.get("image_sizes"))
    cuts = kwargs.get("images") is not None  # without an image LLaVA reads a prompt of any length
    _pending.update(sample_notes.describe_prompt(tokens, images=images, limit=limit, arguments=kwargs, cut=cuts))
    if _pending["index"] is not None:
        sample_notes.warn_if_cut(_pending, limit)
    return tokens


def _note_answer(inner: Any, sent: list[int] | None, output: Any) -> None:
    if sent is None or not _pending or getattr(output, "ndim", 0) != 2:
        return
    start = getattr(getattr(inner, "generation_config", None), "bos_token_id", None)
    _pending["answer"] = sample_notes.strip_prompt(output[0].tolist(), prompt=sent, start=start)


def token_limit(inner: Any) -> int | None:
    """Return after how many tokens LLaVA cuts a prompt (llava_arch.py), or None.

    None for any other model: its code decides.
    """
    if not positions.is_llava(inner):
        return None
    value = getattr(getattr(inner, "config", None), "tokenizer_model_max_length", None)
    return int(value) if value else None
