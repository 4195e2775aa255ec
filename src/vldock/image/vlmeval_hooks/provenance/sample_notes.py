"""Note of one sample: prompt, tokens, settings, and the tokens returned.

VLMEvalKit's own loop and our engines write the same notes, one JSON line a sample: index, message (hash, images by
their content), tokens (hash), length, limit, cut, generation (arguments of decoding), hardware, answer (token ids,
without the prompt's), batch (rows it was decoded with), engine, and with the feature cache features (its space; images
looked up, by source). Other models than LLaVA have pixels (shapes of the images sent), and unnoted where a note could
not be taken, with the reason. Some samples have seed (of their random numbers) and special_token (the answer begins
with it).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from vldock.common import hashing
from vldock.image.llava_hooks import positions

IMAGE_TOKEN = -200  # llava.constants.IMAGE_TOKEN_INDEX
PIXELS = ("images", "pixel_values")  # arguments of the models' generate() that hold images
PLAIN = (bool, int, float, str, type(None))

Note = dict[str, Any]


def describe_question(index: Any, message: Any) -> Note:
    """Return the fields of a note known before the question is asked."""
    return {"index": str(index), "message": message_hash(message)}


def message_hash(message: Any) -> str:
    """Return a short hash of a message's texts and of its images' content."""
    return short_hash(hash_images(message))


def describe_prompt(
    tokens: Sequence[int], *, images: Sequence[int], limit: int | None, arguments: Mapping[str, Any], cut: bool = True
) -> Note:
    """Return the fields of a prompt.

    Token hash, length, decoding arguments, whether cut.
    Images take `images` positions each (positions.py); the prompt is cut after `limit`.

    `cut` False: this prompt is not cut whatever its length (LLaVA cuts only prompts that come with images).
    """
    length = positions.count_in_prompt(tokens, images, token=IMAGE_TOKEN)
    found: Note = {"tokens": short_hash(list(tokens)), "length": length, "generation": plain_arguments(arguments)}
    if cut and limit and length > limit:
        found["cut"] = True
    return found


def describe_pixels(arguments: Mapping[str, Any]) -> Note:
    """Return the shapes of the images in the arguments of generate(), nested as they are.

    A wrapper may resize an image at random; the shapes show it. {} without images.
    """
    found = {name: _shapes(arguments[name]) for name in PIXELS if arguments.get(name) is not None}
    return {"pixels": found} if found else {}


def _shapes(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_shapes(one) for one in value]
    return list(value.shape) if hasattr(value, "shape") else type(value).__name__


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decoding arguments representable in JSON."""
    return {name: value for name, value in sorted(arguments.items()) if isinstance(value, PLAIN)}


def strip_prompt(output: Sequence[int], *, prompt: Sequence[int], start: int | None) -> list[int]:
    """Return the tokens a model added.

    generate() returns them after the prompt, or after a lone start token.
    """
    tokens = list(output)
    if prompt and tokens[: len(prompt)] == list(prompt):
        return tokens[len(prompt) :]
    return tokens[1:] if tokens[:1] == [start] else tokens


def warn_if_cut(note: Mapping[str, Any], limit: int | None) -> None:
    """Print on standard error that a note's prompt was cut."""
    if note.get("cut"):
        print(
            f"CUT sample {note['index']}: its prompt is {note['length']} tokens long and the model reads {limit}: "
            "the end, the question with it, is lost",
            file=sys.stderr,
            flush=True,
        )


def append(path: Path, note: Mapping[str, Any]) -> None:
    """Append a note to a cell's file."""
    line = json.dumps(note, ensure_ascii=False, sort_keys=True) + "\n"
    with path.open("a", encoding="utf-8") as stream:  # one short write: whole, or torn at the end only
        stream.write(line)


def read(path: Path) -> dict[str, Note]:
    """Return {sample: last note}; skip a line torn by a kill."""
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


def hash_images(message: Any) -> Any:
    """Return a message with images replaced by their files' sha256."""
    if isinstance(message, Mapping):
        if message.get("type") in ("image", "video"):
            return {**message, "value": file_digest(str(message["value"]))}
        return {str(key): hash_images(value) for key, value in message.items()}
    if isinstance(message, list | tuple):
        return [hash_images(item) for item in message]
    return file_digest(message) if isinstance(message, str) and _is_file(message) else message


def _is_file(text: str) -> bool:
    """Return whether a text names a file; one longer than a name may be, or with a NUL, does not."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def file_digest(path: str) -> str:
    """Return the sha256 of a file, cached.

    The cache is valid for as long as the file's size and time are the same.
    """
    status = Path(path).stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest_of(path: str, _size: int, _time: int) -> str:
    return hashing.sha256_file(Path(path))


def short_hash(value: Any) -> str:
    """Return a short hash of any JSON value."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).encode()).hexdigest()[:16]
