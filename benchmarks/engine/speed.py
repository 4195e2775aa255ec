"""Samples per second of two engines, on a compute-honest model.

The engines are VLMEvalKit's loop and the batched engine, measured in the image.

    python speed.py --questions 12 --per-image 1 6 --tokens 3 --batch-size 1 4 8

Both answer the same questions in one process, one after the other, and their tokens are compared. One JSON line each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import honest_model

from vldock.image import standin
from vldock.image.answering.types import Question
from vldock.image.engines.batched import BatchedEngine
from vldock.image.engines.memory_features import FeatureStore
from vldock.image.vlmeval_hooks.provenance import sample_notes

WORDS = ("Is", "there", "a", "cat", "dog", "person", "on", "the", "left", "table", "in", "this", "image", "or", "not")
STANDIN = Path(standin.__file__).parent / "assets/huggingface"  # its tokenizer is a LLaMA tokenizer, small
Tokens = dict[int, list[int]]


def make_questions(folder: Path, *, count: int, per_image: int) -> list[Question]:
    """Return `count` questions about noise images.

    Each has 6 to 40 words; `per_image` of them are about each 640x480 image.
    """
    chance, found = random.Random(1), []
    for i in range(count):
        path = folder / f"{per_image}-{i // per_image}.jpg"
        if not path.exists():
            noise = bytes(chance.randrange(256) for _ in range(40 * 30 * 3))
            Image.frombytes("RGB", (40, 30), noise).resize((640, 480)).save(path)
        text = " ".join(chance.choices(WORDS, k=chance.randrange(6, 40))) + "?\nAnswer yes or no."
        found.append(Question(i, [{"type": "image", "value": str(path)}, {"type": "text", "value": text}], "POPE"))
    return found


def answer_stock(wrapper: Any, questions: list[Question]) -> Tokens:
    """Answer with VLMEvalKit's own loop."""
    found: Tokens = {}
    with _heard(wrapper.model) as outputs:
        for item in questions:
            wrapper.generate([dict(part) for part in item.message], dataset=item.dataset)
            found[item.index] = sample_notes.strip_prompt(
                outputs[-1], prompt=(), start=wrapper.model.config.bos_token_id
            )
    return found


@contextlib.contextmanager
def _heard(model: Any) -> Iterator[list[list[int]]]:
    generate, outputs = model.generate, list[list[int]]()

    def heard(*args: Any, **kwargs: Any) -> Any:
        output = generate(*args, **kwargs)
        outputs.append(output[0].tolist())
        return output

    model.generate = heard
    yield outputs
    model.generate = generate


def answer_batched(wrapper: Any, questions: list[Question], size: Any) -> Tokens:
    """Answer with the batched engine and empty stores."""
    engine = BatchedEngine(wrapper, batch_size=size, features=FeatureStore(1 << 30))
    return {answer.index: answer.note["answer"] for answer in engine.answers(questions)}


def time_answers(answer: Callable[[], Tokens], count: int) -> tuple[Tokens, float]:
    """Return the answers and the samples per second."""
    begun = time.perf_counter()
    found = answer()
    return found, count / (time.perf_counter() - begun)


def main() -> None:
    """Measure and print every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--per-image", type=int, nargs="+", default=[1, 6])
    parser.add_argument("--tokens", type=int, nargs="+", default=[3])
    parser.add_argument("--batch-size", nargs="+", default=["8"])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--tower-layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=4096, help="a smaller one is no measure of speed, but of rounding")
    parser.add_argument("--tokenizer", default=str(next(STANDIN.glob("models--*-7b/snapshots/*"))))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        size = honest_model.Size(layers=args.layers, tower_layers=args.tower_layers, width=args.width)
        wrapper = honest_model.wrapper(
            size, tokenizer=args.tokenizer, folder=Path(temporary), dtype=getattr(torch, args.dtype), device=args.device
        )
        for per_image in args.per_image:
            for tokens in args.tokens:
                wrapper.kwargs["max_new_tokens"] = tokens
                questions = make_questions(Path(temporary), count=args.questions, per_image=per_image)
                _case(wrapper, questions, args, per_image=per_image, tokens=tokens)


def _case(wrapper: Any, questions: list[Question], args: argparse.Namespace, **facts: int) -> None:
    answer_stock(wrapper, questions[:1])  # the first pass allocates and warms up
    expected, base = time_answers(lambda: answer_stock(wrapper, questions), len(questions))
    _print(**facts, engine="stock", samples_per_second=round(base, 4))
    for word in args.batch_size:
        size = word if word == "auto" else int(word)
        found, rate = time_answers(lambda size=size: answer_batched(wrapper, questions, size), len(questions))
        wrong = sum(found[index] != expected[index] for index in expected)
        tokens = sum(one != other for i in expected for one, other in zip(expected[i], found[i], strict=True))
        values = {"samples_per_second": round(rate, 4), "times": round(rate / base, 2), "answers_differ": wrong}
        values |= {"of": len(questions), "tokens_differ": tokens, "of_tokens": sum(map(len, expected.values()))}
        _print(**facts, engine=f"batched/{word}", **values)


def _print(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    sys.exit(main())
