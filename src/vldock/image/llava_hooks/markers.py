"""Image markers inside a question, preserved as text.

LLaVA's tokenizer splits a prompt at every `<image>`. A text's own marker is disguised while the prompt is composed, and
each piece between two images is tokenized with the marker as written.
"""

from __future__ import annotations

import re
from typing import Any

MARKER = "<image>"
DISGUISED = "<\ue000image>"  # a private character: no text has it
PLACE = re.compile(r"<image (\d+)>")

Message = list[dict[str, Any]]


def disguise(text: str) -> str:
    """Return a text with its markers disguised.

    No split then happens there.
    """
    return text.replace(MARKER, DISGUISED)


def restore(text: str) -> str:
    """Return a piece of a prompt with its original markers."""
    return text.replace(DISGUISED, MARKER)


def place_images(message: Message) -> Message:
    """Return a message with each image at its `<image 1>` marker.

    The message has images and one text.
    A marker that names no image remains text; without any marker the message is returned as it is. Source: VLMEvalKit's
    MMMUDataset.split_MMMU, which fails at both.
    """
    images = [item["value"] for item in message if item["type"] == "image"]
    text = next(item["value"] for item in message if item["type"] == "text")
    found, begin = list[dict[str, Any]](), 0
    for match in PLACE.finditer(text):
        number = int(match[1])
        if 1 <= number <= len(images):
            found.append({"type": "text", "value": text[begin : match.start()]})
            found.append({"type": "image", "value": images[number - 1]})
            begin = match.end()
    return [*found, {"type": "text", "value": text[begin:]}] if found else message
