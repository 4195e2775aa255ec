"""Checks of text cells: vanishing options, answers not offered, image markers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Protocol

from vldock.common.tables import text_cells
from vldock.common.tables.images import split_cell
from vldock.common.tables.problems import FlawCollector

MISSING = text_cells.MISSING | {""}
MARKER = "<image>"
PLACE = re.compile(r"<image (\d+)>")
LETTERS = re.compile(r"[A-Z](?:[\s,;/]*[A-Z])*")


class TextRow(Protocol):
    """A row by its columns."""

    line: int
    index: str

    def __getitem__(self, column: str) -> str:
        """Return the text of a cell."""


def check(row: TextRow, header: Sequence[str], flaws: FlawCollector) -> None:
    """Check the texts of a row."""
    letters = [column for column in header if len(column) == 1 and column in ascii_uppercase]
    for column in (*letters, *(["answer"] if "answer" in header else [])):
        if row[column] and row[column] in MISSING:
            flaws.add("missing-word", row.line, f"{column} is {row[column]!r}", index=row.index)
    options = {letter: row[letter] for letter in letters if row[letter]}
    if options and row["answer"] and not _offered(row["answer"].strip(), options):
        seen = f"{row['answer'][:40]!r}, offered are {', '.join(options)}"
        flaws.add("not-offered", row.line, seen, index=row.index)
    for column in ("question", "hint", *letters):
        if MARKER in row[column]:
            flaws.add("marker", row.line, f"{MARKER} in {column}", index=row.index)


def check_places(row: TextRow, header: Sequence[str], flaws: FlawCollector) -> None:
    """Check that every `<image 1>` of a row has its image."""
    asked = {int(number) for column in header if column != "image" for number in PLACE.findall(row[column])}
    if not asked:
        return
    try:
        pictures = len(split_cell(row["image"]))
    except ValueError:
        return  # told of the cell itself
    for number in sorted(number for number in asked if not 1 <= number <= pictures):
        flaws.add("marker", row.line, f"<image {number}> of {pictures} pictures", index=row.index)


def _offered(answer: str, options: dict[str, str]) -> bool:
    if answer in options or any(answer == text.strip() for text in options.values()):
        return True
    return bool(LETTERS.fullmatch(answer)) and set(re.findall(r"[A-Z]", answer)) <= options.keys()
