"""Request and Answer of a prediction.

Their values come from the command line, a JSON line, or a worker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vldock.common.errors import InputRefused, UsageError

MARK = "<image>"  # where an image stands inside a question; without any, all images come first


@dataclass(frozen=True)
class Request:
    """Question on any number of images.

    An image is a file, a URL, a data: URI, or `-` for standard input.
    """

    question: str
    images: tuple[str, ...] = ()
    id: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError for an empty question or a wrong number of marks."""
        if not self.question.strip():
            raise UsageError("the question is empty", hint="give it as an argument, or on standard input")
        marks = self.question.count(MARK)
        if marks and marks != len(self.images):
            raise UsageError(
                f"the question says {MARK} {marks} times, and there are {len(self.images)} images",
                expected=f"one {MARK} for each image, or none at all: the images then come first",
            )

    def message(self, paths: tuple[str, ...]) -> list[dict[str, str]]:
        """Return VLMEvalKit's message: images and pieces of text in order."""
        if MARK not in self.question:
            return [*({"type": "image", "value": path} for path in paths), {"type": "text", "value": self.question}]
        pieces = self.question.split(MARK)
        message = [{"type": "text", "value": pieces[0]}] if pieces[0] else []
        for path, piece in zip(paths, pieces[1:], strict=True):
            message.append({"type": "image", "value": path})
            message += [{"type": "text", "value": piece}] if piece else []
        return message

    def key(self, *more: Any) -> str:
        """Return the cache key of the request: a digest.

        `more` values are included.
        """
        text = json.dumps([self.question, self.images, *more], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Answer:
    """Answer of a model, and its provenance.

    `seconds`: prepare (images and prompt), first_token and generate, each from the moment before it. `prompt_sha256` is
    the passport's hash of the token ids. `cut`: the prompt was longer than the model reads, and its end was lost.
    """

    answer: str
    tokens: int
    prompt_tokens: int
    prompt: str
    prompt_sha256: str
    cut: bool
    seconds: Mapping[str, float]
    model: str
    revision: str | None
    path: str
    device: str
    dtype: str
    standin: bool
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the answer as a JSON object."""
        return asdict(self)


def from_json(line: Any) -> Request:
    """Return the request of a JSON line.

    Its fields are question (or text), image or images, id (or question_id).

    Raises InputRefused where a field is missing or of another type.
    """
    if not isinstance(line, Mapping):
        raise InputRefused(f"{json.dumps(line)[:80]} is no object", expected='{"question": ..., "image": ...}')
    question = line.get("question", line.get("text"))
    asked = line.get("images", line.get("image", []))
    images = [asked] if isinstance(asked, str) else asked
    if not isinstance(question, str):
        raise InputRefused("it has no question", expected='{"question": "...", "image": "..."}')
    if not isinstance(images, list) or not all(isinstance(one, str) and one for one in images):
        raise InputRefused(f"its image is {asked!r}", expected="a file, a URL or a data: URI, or a list of them")
    return Request(question, tuple(images), str(line.get("id", line.get("question_id", ""))))
