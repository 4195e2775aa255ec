"""Instructions as pieces: words, pairs of words and runs of three letters.

The vocabulary is built from the training rows and saved with the policy. A piece outside it is the unknown piece, so
any text of any language is read: of a new word those runs of letters that are known.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import torch

PADDING, UNKNOWN, FIRST = 0, 1, 2
LIMIT = 8192  # pieces, the most frequent
RUN = 3


def find_pieces(text: str) -> list[str]:
    """Return the pieces of a text: its words, their pairs, and their runs of letters."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    runs = [f"#{marked[at : at + RUN]}" for marked in (f"<{word}>" for word in words) for at in range(len(marked) - 2)]
    return [*words, *(f"{one} {two}" for one, two in itertools.pairwise(words)), *runs]


def build_vocabulary(instructions: Iterable[str]) -> tuple[str, ...]:
    """Return the pieces of the training rows' instructions, the most frequent first."""
    counts = Counter(piece for text in sorted(instructions) for piece in find_pieces(text))
    return tuple(piece for piece, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:LIMIT])


class Vocabulary:
    """Numbers of pieces: 0 is padding, 1 the unknown piece."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = tuple(pieces)
        self._number = {piece: number for number, piece in enumerate(self.pieces, start=FIRST)}

    def __len__(self) -> int:
        return FIRST + len(self.pieces)

    def numbers(self, text: str) -> list[int]:
        """Return the numbers of a text's pieces, at least one."""
        return [self._number.get(piece, UNKNOWN) for piece in find_pieces(text)] or [UNKNOWN]


def pad(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return rows of numbers as one tensor (B, longest), padded."""
    longest = max((len(row) for row in rows), default=0)
    return torch.tensor([[*row, *[PADDING] * (longest - len(row))] for row in rows], dtype=torch.long)
