"""Sample limit of each benchmark: --limit, else VLMEVAL_SAMPLE_LIMIT, else all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from vldock.common.errors import UsageError

VARIABLE = "VLMEVAL_SAMPLE_LIMIT"
_printed: set[str] = set()


def parse_positive(text: str, *, source: str) -> int:
    """Return `text` as a positive integer.

    Raises UsageError naming `source` for anything else.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(
            f"{source}={text!r} is not a positive integer",
            expected="the number of samples to take from the start of each benchmark",
            hint=f"set {source} to 10, say, or leave it out for all samples",
        )
    return int(text)


def resolve(option: int | None, env: Mapping[str, str] | None = None) -> int | None:
    """Return this run's limit: --limit before the environment.

    Prints it where they differ.
    Raises UsageError for a limit that is not a positive integer.
    """
    text = (os.environ if env is None else env).get(VARIABLE, "").strip()
    if option is None:
        return parse_positive(text, source=VARIABLE) if text else None
    limit = parse_positive(str(option), source="--limit")
    line = f"--limit {limit} is used, not {VARIABLE}={text}"
    if text and text != str(limit) and line not in _printed:
        _printed.add(line)  # a command line may be parsed twice
        print(line, flush=True)
    return limit


def cut(dataset: Any, limit: int | None) -> None:
    """Keep the first `limit` rows of an image or text benchmark.

    Completeness is then judged on these rows.
    """
    if limit and getattr(dataset, "MODALITY", None) != "VIDEO":
        dataset.data = dataset.data.iloc[:limit]
