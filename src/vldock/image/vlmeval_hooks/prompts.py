"""What was sent to the model, sample by sample: hashes of messages and of tokens, and every prompt that was cut.

One JSON line a sample in `<model>_<benchmark>_prompts.jsonl` beside the predictions, so that a run that was killed and
went on still knows what it asked first. `VLDOCK_PROMPT` chooses how LLaVA's wrapper words a question.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from vldock.common.errors import UsageError
from vldock.common.passport_prompts import TEMPLATES, UPSTREAM
from vldock.image.shared_model import facts_of

IMAGE_TOKEN = -200  # llava.constants.IMAGE_TOKEN_INDEX
SUFFIX = "_prompts.jsonl"

_pending: dict[str, Any] = {}
_loaded: dict[str, Any] = {}
_where: list[Path] = []


def template() -> str:
    """Return VLDOCK_PROMPT, `vlmevalkit` where it is not set; raises UsageError for any other word."""
    asked = os.environ.get("VLDOCK_PROMPT", "").strip() or UPSTREAM
    if asked not in TEMPLATES:
        raise UsageError(f"VLDOCK_PROMPT={asked}", expected=" or ".join(TEMPLATES))
    return asked


def of_llava(wrapper: Any, message: list[dict[str, Any]]) -> str | None:
    """Return the prompt as LLaVA's own evaluation words it (conv_templates), or None: VLMEvalKit's wording stays.

    Source: llava/eval/model_vqa_loader.py, llava/conversation.py (vicuna_v1) of LLaVA 1.2.2.
    """
    if template() == UPSTREAM:
        return None
    from llava.conversation import conv_templates

    conversation = conv_templates["vicuna_v1"].copy()
    content = "".join("<image>\n" if item["type"] == "image" else str(item["value"]) for item in message)
    conversation.append_message(conversation.roles[0], content)
    conversation.append_message(conversation.roles[1], None)
    prompt: str = conversation.get_prompt()
    return prompt


def path_of(folder: str | Path, model: str, benchmark: str) -> Path:
    """Return where the prompts of a cell are noted."""
    return Path(folder) / f"{model}_{benchmark}{SUFFIX}"


def question(folder: str, model: str, benchmark: str, index: Any, message: Any) -> None:
    """Note that the sample `index` is about to be asked."""
    flush()
    _where[:] = [path_of(folder, model, benchmark)]
    _pending.update(_loaded, index=str(index), message=_hash(_plain(message)))


def flush() -> None:
    """Write what is known of the sample that was asked last."""
    if _pending and _where:
        line = json.dumps(_pending, ensure_ascii=False, sort_keys=True) + "\n"
        with _where[0].open("a", encoding="utf-8") as stream:  # one short write: whole, or torn at the end only
            stream.write(line)
    _pending.clear()


def watch(model: Any) -> Any:
    """Return the model, its inner generate() noted: token ids as they are sent, and the arguments of decoding."""
    _loaded.clear()
    _loaded.update(hardware=asdict(facts_of(model)), limit=token_limit(getattr(model, "model", None)))
    inner: Any = getattr(model, "model", None)
    generate = getattr(inner, "generate", None)
    if generate is None or getattr(model, "_vldock_noted", False):
        return model

    def noted(*args: Any, **kwargs: Any) -> Any:
        _sent(inner, args, kwargs)
        return generate(*args, **kwargs)

    inner.generate = noted
    model._vldock_noted = True
    return model


def _sent(inner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    ids = args[0] if args else kwargs.get("input_ids", kwargs.get("inputs"))
    if ids is None or not _pending or not hasattr(ids, "tolist"):
        return
    tokens = ids[0].tolist()
    limit = token_limit(inner)
    length = len(tokens) + tokens.count(IMAGE_TOKEN) * (_patches(inner) - 1)
    plain = (bool, int, float, str, type(None))
    arguments = {name: value for name, value in sorted(kwargs.items()) if isinstance(value, plain)}
    _pending.update(tokens=_hash(tokens), length=length, generation=arguments)
    if limit and length > limit:
        _pending["cut"] = True
        print(
            f"CUT sample {_pending['index']}: its prompt is {length} tokens long and the model reads {limit}: "
            "the end, the question with it, is lost",
            file=sys.stderr,
            flush=True,
        )


def token_limit(inner: Any) -> int | None:
    """Return after how many tokens LLaVA cuts a prompt (llava_arch.py), or None where it does not."""
    value = getattr(getattr(inner, "config", None), "tokenizer_model_max_length", None)
    return int(value) if value else None


def _patches(inner: Any) -> int:
    tower = inner.get_vision_tower() if hasattr(inner, "get_vision_tower") else None
    return int(getattr(tower, "num_patches", 1) or 1)


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return {sample: what was noted last}; a line that a kill tore is left out."""
    found = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    for line in text.splitlines():
        try:
            note = json.loads(line)
            found[note["index"]] = note
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _plain(message: Any) -> Any:
    """Return a message with each image replaced by the sha256 of its file."""
    if isinstance(message, Mapping):
        if message.get("type") in ("image", "video"):
            return {**message, "value": _file(str(message["value"]))}
        return {str(key): _plain(value) for key, value in message.items()}
    if isinstance(message, list | tuple):
        return [_plain(item) for item in message]
    return _file(message) if isinstance(message, str) and len(message) < 1024 and Path(message).is_file() else message


def _file(path: str) -> str:
    status = Path(path).stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest_of(path: str, _size: int, _time: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).encode()).hexdigest()[:16]
