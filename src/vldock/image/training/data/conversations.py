"""Turns of a record, with oddities corrected as in LLaVA's training.

Source: LLaVA 1.2.2.post1, llava/train/train.py: preprocess_v1 skips a first turn that is not the human's;
preprocess_multimodal writes <image> once, in front of the turn that has it; without an image the marker remains text;
no token refers to an image that no turn asks about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

IMAGE = "<image>"
ROLES = ("human", "gpt")


@dataclass(frozen=True)
class ConversationTurn:
    """A question ("human") or an answer ("gpt")."""

    role: str
    text: str


@dataclass(frozen=True)
class Oddity:
    """Oddity of a conversation.

    `kind` is one of problems.REMEDIES, `detail` the observation, `acceptable` whether data.accept can allow it.
    """

    kind: str
    detail: str
    acceptable: bool = False


@dataclass(frozen=True)
class Conversation:
    """Turns as they are trained on.

    `asks`: a question refers to the record's image; `oddities`: the oddities of the row.
    """

    turns: tuple[ConversationTurn, ...]
    asks: bool = True
    oddities: tuple[Oddity, ...] = ()


def read(value: Any, images: int) -> Conversation:
    """Return a record's conversation, its oddities found and corrected.

    `images` is the record's number of images; LLaVA's own training corrects the same oddities.
    """
    if malformed := tuple(_malformed(value)):
        return Conversation((), oddities=malformed)
    turns = tuple(ConversationTurn(turn["from"], turn["value"]) for turn in value)
    if strange := [turn.role for turn in turns if turn.role not in ROLES]:
        return Conversation(turns, oddities=(Oddity("unknown-role", strange[0]), *_empty(turns)))
    kept, order = _from_the_human_on(turns)
    set_right, count = _with_one_marker(kept, images)
    asks = any(IMAGE in turn.text for turn in set_right)
    return Conversation(set_right, asks, (*order, *_empty(kept), *count))


def _malformed(value: Any) -> Iterator[Oddity]:
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        yield Oddity("wrong-type", "conversations is no list of {from, value}")
        return
    for at, turn in enumerate(value, 1):
        for key in ("from", "value"):
            if key not in turn:
                yield Oddity("missing-key", f"no {key!r} in turn {at}")
            elif not isinstance(turn[key], str):
                yield Oddity("wrong-type", f"{key!r} of turn {at} is {turn[key]!r}")


def _from_the_human_on(turns: Sequence[ConversationTurn]) -> tuple[tuple[ConversationTurn, ...], tuple[Oddity, ...]]:
    roles = [turn.role for turn in turns]
    if _alternate(roles):
        return tuple(turns), ()
    if roles[:1] == ["gpt"] and _alternate(roles[1:]):
        return tuple(turns[1:]), (Oddity("gpt-first", turns[0].text[:60], acceptable=True),)
    return tuple(turns), (Oddity("role-order", " ".join(roles) or "no turns"),)


def _alternate(roles: Sequence[str]) -> bool:
    return len(roles) >= len(ROLES) and len(roles) % 2 == 0 and list(roles) == [*ROLES] * (len(roles) // 2)


def _empty(turns: Sequence[ConversationTurn]) -> Iterator[Oddity]:
    for at, turn in enumerate(turns, 1):
        if not turn.text.replace(IMAGE, "").strip():
            yield Oddity("empty-answer" if turn.role == "gpt" else "empty-question", f"turn {at}")


def _with_one_marker(
    turns: Sequence[ConversationTurn], images: int
) -> tuple[tuple[ConversationTurn, ...], tuple[Oddity, ...]]:
    """Return turns with one marker for one image, and the oddity found.

    An image no question asks about gets no marker; without images a marker remains text.
    """
    asked = sum(turn.text.count(IMAGE) for turn in turns if turn.role == "human")
    told = sum(turn.text.count(IMAGE) for turn in turns if turn.role == "gpt")
    if asked == images and not told:
        return tuple(turns), ()
    detail = f"{images} images, {asked} {IMAGE} in questions, {told} in answers"
    oddities = (Oddity("image-count", detail, acceptable=images <= 1),)
    if images != 1:
        return tuple(turns), oddities
    bare = [
        replace(turn, text=turn.text.replace(IMAGE, "").strip() if IMAGE in turn.text else turn.text) for turn in turns
    ]
    first = next((at for at, turn in enumerate(turns) if turn.role == "human" and IMAGE in turn.text), None)
    if first is not None:
        bare[first] = replace(bare[first], text=f"{IMAGE}\n{bare[first].text}")
    return tuple(bare), oddities
