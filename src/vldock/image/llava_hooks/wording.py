"""Prompt text of a LLaVA conversation with images.

The same in training and in run.py for custom models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

IMAGE = "<image>"
PLAIN = "plain"


def template_of(config: Any) -> str:
    """Return the name in llava.conversation of a model's template.

    The one its config names (trained with `model.template`), else Mistral's or Vicuna's.
    """
    if named := getattr(config, "conversation_template", None):
        return str(named)
    return "mistral_instruct" if "mistral" in str(config.model_type) else "llava_v1"


def put_images_first(text: str) -> str:
    """Return a question with its <image> markers in front.

    Each marker has a line of its own, as in LLaVA's training.
    """
    count = text.count(IMAGE)
    return f"{IMAGE}\n" * count + text.replace(IMAGE, "").strip()


def render_conversation(turns: Sequence[tuple[str, str | None]], template: str, *, images: bool = True) -> str:
    """Return the conversation as one text.

    `turns` are ("human" or "gpt", text); a text of None marks where an answer would begin.
    Without `images`, <image> is text like any other. The template `plain` is that of LLaVA's pretraining: the images,
    then the caption; what the human says is left out (llava/train/train.py, preprocess_plain).
    """
    if template == PLAIN:
        asked = "".join(IMAGE * (text or "").count(IMAGE) for role, text in turns if role == "human")
        told = "".join(f"{text}\n" for role, text in turns if role == "gpt" and text is not None)
        return asked + told
    from llava.conversation import conv_templates

    conversation = conv_templates[template].copy()
    for role, text in turns:
        human = role == "human"
        said = put_images_first(text) if images and human and text is not None else text
        conversation.append_message(conversation.roles[0 if human else 1], said)
    return str(conversation.get_prompt())
