"""Fit a MemoryDecoder's memory to recorded prompts, in closed form.

1. `whiten`: the second attention's output is turned and scaled so that prompts differ equally in all directions.
2. `states`: each answer is read token by token; the normalised state before the memory is kept with the next token.
3. `remember`: each state becomes a unit. Its threshold lies halfway to the nearest state that must be followed by
   another token, and at most `radius` (1 - cosine) away from its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vldock.image.remote_standins.base import round_to_bfloat16, round_weights
from vldock.image.remote_standins.remote_code.memory_layers import apply_linear, normalize

RADIUS = 0.004
STRENGTH = 24.0
SPREAD = 2.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt (length, width), and the ids to answer it with, the end token included."""

    prompt: Tensor
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """How fitting went: units made, the nearest two states that differ in the next token (1 - cosine)."""

    units: int
    nearest: float
    tightest: float


def fit_memory(decoder: Any, lessons: Sequence[Lesson], radius: float = RADIUS) -> Fit:
    """Set `decoder`'s second block from `lessons`, in place, and return how it went."""
    with torch.inference_mode():
        round_weights(decoder)
        whiten(decoder, lessons)
        round_weights(decoder)
        found, tokens = states(decoder, lessons)
        teach_tokens(decoder, sorted(set(tokens.tolist())))
        return remember(decoder, found, tokens, radius)


def read(decoder: Any, lesson: Lesson) -> tuple[Tensor, Tensor]:
    """Return the states and the gathered values at the places of the answer's tokens."""
    table = decoder.get_input_embeddings().weight.float()
    said = torch.tensor(lesson.answer[:-1], dtype=torch.long)
    whole = torch.cat((lesson.prompt, table[said]))[None]
    place, mask = decoder._placed(whole, None, None)
    from_here = len(lesson.prompt) - 1
    mixed, _ = decoder.mix(whole, mask, place, None)
    gathered, _ = decoder.whole.gather(normalize(mixed), mask, None)
    return mixed[0, from_here:], gathered[0, from_here:]


def whiten(decoder: Any, lessons: Sequence[Lesson]) -> None:
    """Set the second attention's output: centred, equally spread in all directions of `content`."""
    values = torch.cat([read(decoder, lesson)[1] for lesson in lessons])
    centre = values.mean(0)
    scale, turn = torch.linalg.eigh(torch.cov(values.T))
    count = decoder.content
    white = (turn / (scale + 0.05 * scale.mean()).sqrt())[:, -count:].T
    decoder.whole.out.weight.zero_()[:count] = SPREAD * white
    decoder.whole.out.bias.zero_()[:count] = -SPREAD * (white @ centre)


def states(decoder: Any, lessons: Sequence[Lesson]) -> tuple[Tensor, Tensor]:
    """Return the normalised states (n, width) and the tokens (n) that must follow each."""
    found = []
    for lesson in lessons:
        mixed, gathered = read(decoder, lesson)
        found.append(normalize(mixed + apply_linear(gathered, decoder.whole.out)))
    tokens = [token for lesson in lessons for token in lesson.answer]
    return torch.cat(found), torch.tensor(tokens)


def teach_tokens(decoder: Any, tokens: Sequence[int]) -> None:
    """Set a code for every token of the answers, none near another's (cosine below 0.6)."""
    weight = decoder.lm_head.weight
    used = [token for token in range(len(weight)) if bool(weight[token].any())]
    codes = [weight[token].clone() for token in used]
    generator = torch.Generator().manual_seed(0)
    limit = 0.6
    for token in tokens:
        if token in used:
            continue
        for attempt in range(10_000):
            code = functional.normalize(torch.randn(weight.shape[1], generator=generator), dim=0)
            if not codes or float((torch.stack(codes) @ code).abs().max()) < limit + attempt / 20_000:
                break
        weight[token] = round_to_bfloat16(code)
        codes.append(weight[token].clone())


def remember(decoder: Any, found: Tensor, tokens: Tensor, radius: float) -> Fit:
    """Make a unit of every state; equal states with equal tokens share one."""
    width = found.shape[1]
    keys = round_to_bfloat16(found / width)
    answer = keys @ found.T  # close to the cosine of unit i's state and state j
    own = answer.diagonal()
    other = answer.masked_fill(tokens[:, None] == tokens[None], -1.0).amax(1)
    threshold = torch.maximum((own + other) / 2, own - radius)
    if bool((other >= own).any()):
        clash = int((other - own).argmax())
        raise ValueError(f"state {clash} of {len(found)}: another state with another next token cannot be told from it")
    keep = kept(answer, tokens, own, radius)
    gain = STRENGTH / (own - threshold)
    codes = decoder.lm_head.weight[tokens]
    parts, rest = [], threshold
    for _ in range(3):
        part = round_to_bfloat16(rest)
        parts.append(part)
        rest = rest - part
    memory = type(decoder.memory)(len(keep), width, codes.shape[1])
    memory.keys.copy_(keys[keep])
    memory.threshold.copy_(torch.stack(parts)[:, keep])
    memory.values.copy_(round_to_bfloat16(gain[:, None] * codes)[keep])
    decoder.memory = memory
    decoder.config.memory_size = len(keep)
    return Fit(len(keep), float((own - other).min()), float((own - threshold).min()))


def kept(answer: Tensor, tokens: Tensor, own: Tensor, radius: float) -> Tensor:
    """Return the numbers of the states that no earlier one with the same token equals."""
    same = (tokens[:, None] == tokens[None]) & (answer >= own[None] - radius / 100)
    return torch.tensor([number for number in range(len(own)) if not bool(same[:number, number].any())])
