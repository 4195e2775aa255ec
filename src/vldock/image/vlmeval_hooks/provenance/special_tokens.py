"""Special tokens at the start of an answer: decoding went wrong, and exact matching fails."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

FIELD = "special_token"  # of a sample's note
_warned: set[str] = set()  # cells


def list_tokens(wrapper: Any) -> tuple[str, ...]:
    """Return the special tokens of a wrapper's tokenizer, the longest first."""
    tokens = getattr(getattr(wrapper, "tokenizer", None), "all_special_tokens", ())
    return tuple(sorted(filter(None, tokens), key=len, reverse=True))


def describe_answer(answer: Any, tokens: tuple[str, ...]) -> dict[str, str]:
    """Return the note's field for an answer that begins with a special token, else nothing."""
    text = answer.lstrip() if isinstance(answer, str) else ""
    token = next((token for token in tokens if text.startswith(token)), None)
    return {FIELD: token} if token else {}


def warn_once(cell: str, note: Mapping[str, Any]) -> None:
    """Print on standard error that an answer begins with a special token, once a cell."""
    if note.get(FIELD) and cell not in _warned:
        _warned.add(cell)
        print(
            f"SPECIAL TOKEN sample {note['index']}: its answer begins with {note[FIELD]!r}, a special token of the "
            "model's tokenizer: scores by exact matching are wrong; the passport counts such answers",
            file=sys.stderr,
            flush=True,
        )


def count(notes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return {special token: samples whose answers begin with it}."""
    found: dict[str, list[str]] = {}
    for index, note in sorted(notes.items()):
        if FIELD in note:
            found.setdefault(note[FIELD], []).append(index)
    return found


def print_counts(cell: str, notes: Mapping[str, Mapping[str, Any]]) -> None:
    """Print on standard error how many answers of a cell begin with each special token."""
    for token, samples in count(notes).items():
        print(
            f"SPECIAL TOKEN {cell}: {len(samples)} of {len(notes)} answers begin with {token!r}: "
            "do not trust this score",
            file=sys.stderr,
            flush=True,
        )
