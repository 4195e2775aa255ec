"""Held-out answers: generated text, correctness, and loss of the expected answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vldock.image.training.data.batch import Collator
from vldock.image.training.data.encode import Encoder
from vldock.image.training.data.records import Record


@dataclass(frozen=True)
class Answer:
    """Held-out question, its expected and generated answers, and the loss.

    The loss is that of the expected answer (`wanted`).
    """

    id: str
    group: str
    question: str
    wanted: str
    given: str
    loss: float

    @property
    def right(self) -> bool:
        """True if both answers are equal after `normalize`."""
        return normalize(self.given) == normalize(self.wanted)


def normalize(text: str) -> str:
    """Return a text normalized for comparison.

    Lower case, one blank between words, no leading article, no full stop at the end.
    """
    words = " ".join(text.casefold().split()).rstrip(".! ")
    return re.sub(r"^(a|an|the) ", "", words)


def answer_questions(
    model: Any, records: Sequence[Record], encoder: Encoder, *, collator: Collator, tokens: int, autocast: Any
) -> list[Answer]:
    """Answer the first question of each record, greedily, one by one.

    `model` is the LLaVA without the adapters' wrapper.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), autocast():
            return [_give(model, record, encoder, collator, tokens) for record in records]
    finally:
        model.train(was_training)


def _give(model: Any, record: Record, encoder: Encoder, collator: Collator, tokens: int) -> Answer:
    place = next(model.parameters()).device
    whole = to_device(collator([encoder(record)]), place)
    loss = model(**whole, use_cache=False).loss
    asked = to_device(collator([encoder.prompt(record)]), place)
    made = model.generate(
        asked["input_ids"],
        images=asked["images"],
        image_sizes=asked["image_sizes"],
        do_sample=False,
        max_new_tokens=tokens,
        use_cache=True,
        pad_token_id=encoder.tokenizer.pad_token_id,
    )
    text = encoder.tokenizer.batch_decode(made, skip_special_tokens=True)[0].strip()
    return Answer(record.id, record.group, record.question, record.answer, text, float(loss))


def to_device(batch: dict[str, Any], place: Any) -> dict[str, Any]:
    """Return a batch with its tensors moved to `place`.

    Tensors in lists too.
    """

    def move(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(place)
        return [move(item) for item in value] if isinstance(value, list) else value

    return {name: move(value) for name, value in batch.items()}


def metrics(answers: Sequence[Answer]) -> dict[str, float]:
    """Return accuracy, loss, number of questions (asked), and score.

    The score is the accuracy, with the loss to break a tie.
    """
    if not answers:
        return {"accuracy": 0.0, "loss": 0.0, "asked": 0.0, "score": 0.0}
    accuracy = sum(answer.right for answer in answers) / len(answers)
    loss = sum(answer.loss for answer in answers) / len(answers)
    return {"accuracy": accuracy, "loss": loss, "asked": len(answers), "score": accuracy - min(loss, 100.0) * 1e-6}
