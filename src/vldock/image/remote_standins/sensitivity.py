"""How much a drifted pipeline still scores: `python -m vldock.image.remote_standins.sensitivity [--model NAME]`.

A family declares `DRIFTS`: what could change by itself in the wrapper, the remote code or the tokenizer (template,
order of tiles, normalisation, bos, image token), each a context manager over the wrapper. All samples are asked as in
an evaluation; a benchmark's score is the share of its samples whose answer is exactly right.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any
from unittest.mock import patch

from vldock.image.standin.sensitivity import score

Drift = Callable[[Any], AbstractContextManager[Any]]
HARMLESS = ("none", "bfloat16")


def replace_method(owner: Any, name: str, change: Callable[[Any], Any]) -> AbstractContextManager[Any]:
    """Return a context in which the results of `owner.name` are changed."""
    real = getattr(owner, name)
    return patch.object(owner, name, lambda *args, **options: change(real(*args, **options)))


@contextlib.contextmanager
def store_in_bfloat16(wrapper: Any) -> Iterator[None]:
    """Keep the model's weights in bfloat16 meanwhile, as on a GPU; no drift: every answer must stay."""
    kept = {name: value.data for name, value in wrapper.model.named_parameters()}
    for value in wrapper.model.parameters():
        value.data = value.data.bfloat16()
    try:
        yield
    finally:
        for name, value in wrapper.model.named_parameters():
            value.data = kept[name]


def denormalize(pixels: Any, mean: Sequence[float], deviation: Sequence[float]) -> Any:
    """Return normalised pixels (..., 3, height, width) from 0 to 1 again."""
    return pixels * pixels.new_tensor(deviation)[:, None, None] + pixels.new_tensor(mean)[:, None, None]


def measure(
    family: ModuleType, wrapper: Any, only: str = "", benchmarks: Collection[str] = ()
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the scores without a drift, then those of each drift of the family."""
    drifts: Mapping[str, Drift] = {
        "none": lambda _: contextlib.nullcontext(),
        "bfloat16": store_in_bfloat16,
        **family.DRIFTS,
    }
    for name, drift in drifts.items():
        if only in name:
            with drift(wrapper):
                yield name, score(wrapper, benchmarks)


def main(argv: list[str] | None = None) -> int:
    """Print a line for each drift; exit status 1 where one still scores 90 on half of the benchmarks."""
    parser = argparse.ArgumentParser(
        prog="python -m vldock.image.remote_standins.sensitivity", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--model", default="", help="stand-ins whose name has this text")
    parser.add_argument("--only", default="", help="drifts whose name has this text")
    parser.add_argument("--data", nargs="*", default=[], help="benchmarks; all 24 if none is named")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each drift")
    args = parser.parse_args(argv)
    from vldock.image.remote_code import loading
    from vldock.image.standin.activate import activate

    activate(os.environ)
    loading.install()
    from vlmeval.config import supported_VLM

    from vldock.image.remote_standins.make import find_standins

    unnoticed = 0
    for family, standin in find_standins(args.model):
        wrapper = supported_VLM[standin.name]()
        for name, cells in measure(family, wrapper, args.only, args.data):
            high = sum(value >= 90 for value in cells.values())
            unnoticed += (high < len(cells)) if name in HARMLESS else (high >= len(cells) / 2)
            line = {"model": standin.name, "drift": name, "mean": round(sum(cells.values()) / len(cells), 1)}
            text = f"{standin.name:16s} {name:28s} mean {line['mean']:5.1f}  {high:2d} of {len(cells)} cells at 90"
            print(json.dumps({**line, "cells": cells}) if args.json else text, flush=True)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
