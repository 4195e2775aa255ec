"""A tiny random LLaVA in VLMEvalKit's own wrapper, and questions of every shape for it.

The weights are large enough that positions and masks decide which token comes next, and a fifth of the vocabulary ends
an answer, so that rows end early and late.
"""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tiny_model import _verifier

from vldock.image.answering.types import Question
from vldock.image.vlmeval_hooks.provenance import sample_notes

PATCHES, LIMIT, MOST = 4, 48, 12
WORDS = ("what", "is", "in", "the", "picture", "a", "cat", "USER", "dog")


def make(folder: Path) -> Any:
    """Return a wrapper of class LLaVA with model, tokenizer and tower in `folder`."""
    tower, checkpoint = folder / "tower", folder / "llava"
    for path in (tower, checkpoint):
        path.mkdir()
    write(tower, checkpoint)
    return load(str(checkpoint))


def write(tower: Path, checkpoint: Path) -> None:
    """Write a random tower, and a LLaVA that names it, into empty folders."""
    verifier: Any = _verifier()
    torch.manual_seed(5)
    verifier.make_tower(tower)
    verifier.make_checkpoint(checkpoint, tower)


def load(path: str) -> Any:
    """Return the wrapper of class LLaVA of a folder or repository, its weights drawn anew."""
    from vlmeval.vlm.llava.llava import LLaVA

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapper = LLaVA(path, max_new_tokens=MOST)
    model = wrapper.model
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            weight.data.normal_(std=0.5 if "lm_head" in name or "embed" in name else 0.3)
    vocabulary = model.config.vocab_size
    model.generation_config.eos_token_id = random.Random(2).sample(range(3, vocabulary), vocabulary // 6)
    model.generation_config.pad_token_id = 0
    model.config.tokenizer_model_max_length = LIMIT
    wrapper.system_prompt = "the picture "  # the tiny tokenizer makes a token of each letter of a word it does not know
    return wrapper


def questions(folder: Path) -> list[Question]:
    """Return 24 questions of all lengths.

    No image, one (two of them asked about often), three, and cut prompts.
    """
    chance = random.Random(3)
    paths = []
    for i in range(6):
        paths.append(folder / f"{i}.png")
        noise = bytes(chance.randrange(256) for _ in range(30 * 22 * 3))
        Image.frombytes("RGB", (30, 22), noise).save(paths[-1])
    found = []
    for i in range(24):
        count = (1, 1, 0, 1, 3, 1)[i % 6]
        chosen = [paths[0] if count == 1 and i % 2 else chance.choice(paths) for _ in range(count)]
        words = " ".join(chance.choices(WORDS, k=chance.choice((1, 3, 6, 9, 30))))
        message = [{"type": "image", "value": str(path)} for path in chosen]
        found.append(Question(i, [*message, {"type": "text", "value": words}], "POPE"))
    return found


def stock(wrapper: Any, asked: list[Question]) -> dict[int, tuple[str, list[int]]]:
    """Return {index: (text, token ids)} of VLMEvalKit's own wrapper, one question at a time."""
    kept: list[Any] = []
    generate = wrapper.model.generate

    def heard(ids: Any, **kwargs: Any) -> Any:
        kept.append((ids[0].tolist(), generate(ids, **kwargs)))
        return kept[-1][1]

    wrapper.model.generate = heard
    try:
        texts = {item.index: wrapper.generate(list(item.message), dataset=item.dataset) for item in asked}
    finally:
        wrapper.model.generate = generate
    start = wrapper.model.generation_config.bos_token_id
    tokens = [sample_notes.strip_prompt(output[0].tolist(), prompt=sent, start=start) for sent, output in kept]
    return {item.index: (texts[item.index], tokens[i]) for i, item in enumerate(asked)}
