"""How much a broken pipeline still scores: `python -m vldock.image.standin.sensitivity [--model REPO] [--only TEXT]`.

Each breakage is made where it could really happen, in the wrapper, the image processor, LLaVA's functions or the
model's configuration; then all samples are generated as in an evaluation. A cell's score is the share of its samples
whose answer is exactly right (VLMEvalKit's own evaluators are for the unbroken pipeline: `vldock matrix --standin`).
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any
from unittest.mock import patch

from vldock.image.standin.activate import activate

Prompt = Callable[[str], str]
Breakage = Callable[[Any], Any]
OTHER = "You are a helpful language and vision assistant. You are able to understand the visual content. "


def _prompt(change: Prompt) -> Breakage:
    """Change the prompt's text just before it is tokenised."""

    @contextmanager
    def broken(_: Any) -> Iterator[None]:
        from llava import mm_utils

        real = mm_utils.tokenizer_image_token
        with patch.object(mm_utils, "tokenizer_image_token", lambda text, *a, **k: real(change(text), *a, **k)):
            yield

    return broken


def _pixels(change: Callable[[Any], Any]) -> Breakage:
    """Change the pixels that process_images returns, (images, 3, 336, 336)."""

    @contextmanager
    def broken(_: Any) -> Iterator[None]:
        from llava import mm_utils

        real = mm_utils.process_images
        with patch.object(mm_utils, "process_images", lambda *a: change(real(*a))):
            yield

    return broken


def _set(find: Callable[[Any], Any], **values: Any) -> Breakage:
    """Set attributes of what `find` finds in the wrapper."""

    @contextmanager
    def broken(wrapper: Any) -> Iterator[None]:
        with patch.multiple(find(wrapper), **values):
            yield

    return broken


@contextmanager
def _swapped(wrapper: Any) -> Iterator[None]:
    processor = wrapper.image_processor
    with patch.multiple(processor, image_mean=processor.image_std, image_std=processor.image_mean):
        yield


@contextmanager
def _unpadded(_: Any) -> Iterator[None]:
    from llava import mm_utils

    with patch.object(mm_utils, "expand2square", lambda image, _: image):
        yield


@contextmanager
def _unprojected(wrapper: Any) -> Iterator[None]:
    projector = wrapper.model.get_model().mm_projector
    with patch.object(projector[2], "forward", lambda x: x):
        yield


def _tower(wrapper: Any) -> Any:
    return wrapper.model.get_vision_tower()


def _processor(wrapper: Any) -> Any:
    return wrapper.image_processor


BREAKAGES: Mapping[str, Breakage] = {
    "none": _prompt(lambda text: text),
    "no system prompt": _set(lambda w: w, system_prompt=""),
    "another system prompt": _set(lambda w: w, system_prompt=OTHER),
    "Human and Assistant": _prompt(lambda t: t.replace("USER: ", "Human: ").replace("ASSISTANT: ", "Assistant: ")),
    "no ASSISTANT": _prompt(lambda t: t.replace(" ASSISTANT: ", "")),
    "no roles": _prompt(lambda t: t.replace("USER: ", "").replace("ASSISTANT: ", "")),
    "question only": _prompt(lambda t: t[t.index(" <image>") :].removesuffix(" ASSISTANT: ")),
    "everything in upper case": _prompt(lambda t: t.upper().replace("<IMAGE>", "<image>")),
    "no image in the prompt": _prompt(lambda t: t.replace("<image>", "")),
    "image after the question": _prompt(
        lambda t: t.replace(" <image> ", "").replace(" ASSISTANT", " <image> " * t.count("<image>") + " ASSISTANT")
    ),
    "question lost": _prompt(lambda t: t[: t.rindex("<image> ") + 8] + " ASSISTANT: "),
    "no BOS": _set(lambda w: w.tokenizer, add_bos_token=False),
    "black image": _pixels(lambda x: x * 0 - 1.7),
    "zero pixels": _pixels(lambda x: x * 0),
    "mean and std swapped": _swapped,
    "not normalised": _set(_processor, do_normalize=False),
    "not rescaled": _set(_processor, do_rescale=False),
    "mean and std 0.5": _set(_processor, image_mean=[0.5] * 3, image_std=[0.5] * 3),
    "BGR": _pixels(lambda x: x.flip(1)),
    "mirrored": _pixels(lambda x: x.flip(3)),
    "cropped, not padded": _unpadded,
    "layer -1": _set(_tower, select_layer=-1),
    "class token kept": _set(_tower, select_feature="cls_patch"),
    "projector cut": _unprojected,
    "cut after 512 tokens": _set(lambda w: w.model.config, tokenizer_model_max_length=512),
}


def score(wrapper: Any, benchmarks: Collection[str] = ()) -> dict[str, float]:
    """Return the percentage of samples answered exactly right, by benchmark; of all without `benchmarks`."""
    from vldock.image.standin.recipe.record import messages

    right: dict[str, list[bool]] = {}
    for item in messages(wrapper):
        if benchmarks and item.benchmark not in benchmarks:
            continue
        with redirect_stdout(io.StringIO()):  # some wrappers print every prompt
            said = wrapper.generate(message=item.message, dataset=item.benchmark)
        right.setdefault(item.benchmark, []).append(said == item.answer)
    return {name: 100 * sum(hits) / len(hits) for name, hits in right.items()}


def main(argv: list[str] | None = None) -> int:
    """Print a line for each breakage: mean score, cells of 90 and more, the three highest cells."""
    parser = argparse.ArgumentParser(prog="python -m vldock.image.standin.sensitivity", description=__doc__)
    parser.add_argument("--model", default="liuhaotian/llava-v1.5-7b")
    parser.add_argument("--only", default="", help="breakages whose name has this text")
    args = parser.parse_args(argv)
    activate(os.environ)
    from vldock.image.standin.recipe.lesson import load_wrapper

    wrapper = load_wrapper(args.model)
    for name, breakage in BREAKAGES.items():
        if args.only in name:
            with breakage(wrapper):
                cells = score(wrapper)
            best = sorted(cells.items(), key=lambda cell: -cell[1])[:3]
            high = sum(value >= 90 for value in cells.values())
            names = ", ".join(f"{cell} {value:.0f}" for cell, value in best)
            print(f"{name:28s} mean {sum(cells.values()) / len(cells):5.1f}  {high:2d} of {len(cells)} cells  {names}")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
