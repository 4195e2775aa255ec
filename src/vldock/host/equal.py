"""`vldock equal A B`: two sets of predictions, answer by answer and, where both noted them, token by token.

A set is a run of `vldock matrix`, one of its cells, a model's folder of run.py, or one prediction file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vldock.common.cell import CELL_FILE
from vldock.common.errors import InputRefused
from vldock.host import compare, prediction_table
from vldock.host.run_folder import RUN_FILE

IDENTITY = "_identity.json"
NOTES = "_prompts.jsonl"


@dataclass(frozen=True)
class Predictions:
    """One prediction file: {index: answer}, and {index: token ids} where they were noted."""

    path: Path
    answers: Mapping[str, str]
    tokens: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Difference:
    """One sample answered differently; `token` is the first position at which the tokens differ, if both are known."""

    index: str
    first: str
    second: str
    token: int | None


@dataclass(frozen=True)
class Equality:
    """Two prediction files compared. `tokens` counts positions of samples whose tokens both sides noted.

    A token that only one side has, because its answer is longer, differs.
    """

    name: str
    samples: int
    answers: int
    noted: int
    tokens: int
    differing_tokens: int
    only_first: int
    only_second: int
    example: Difference | None

    @property
    def equal(self) -> bool:
        """Whether both have the same samples with the same answers and the same tokens."""
        return not (self.answers or self.differing_tokens or self.only_first or self.only_second)

    def as_json(self) -> dict[str, Any]:
        """Return plain values, for --json."""
        return {**asdict(self), "equal": self.equal}


@dataclass(frozen=True)
class Compared:
    """Every pair of prediction files, and what only one side has."""

    first: str
    second: str
    cells: tuple[Equality, ...]
    unpaired: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs and nothing is left over."""
        return not self.unpaired and all(cell.equal for cell in self.cells)

    def as_json(self) -> dict[str, Any]:
        """Return what --json prints."""
        return {
            "first": self.first,
            "second": self.second,
            "equal": self.equal,
            "unpaired": list(self.unpaired),
            "cells": [cell.as_json() for cell in self.cells],
        }


def compared(first: Path, second: Path) -> Compared:
    """Compare two sets of predictions; raises InputRefused where one has none, or where nothing can be paired."""
    one, two = files_of(first), files_of(second)
    if len(one) == 1 == len(two):
        pairs, left = {next(iter(one)): (*one.values(), *two.values())}, []
    else:
        pairs = {name: (one[name], two[name]) for name in one if name in two}
        left = [f"{name}: only in A" for name in one if name not in two]
        left += [f"{name}: only in B" for name in two if name not in one]
    if not pairs:
        raise InputRefused(f"{first} and {second} share no cell", expected="one model and benchmark in both at least")
    cells = []
    for name, (mine, theirs) in pairs.items():
        try:
            cells.append(equality(name, read(mine), read(theirs)))
        except InputRefused as refusal:
            if len(pairs) == 1:
                raise
            left.append(f"{name}: {refusal.message}")  # a cell that failed: nothing says that it is equal
    return Compared(str(first), str(second), tuple(cells), tuple(left))


def files_of(place: Path) -> dict[str, Path]:
    """Return {cell: prediction file} of a run, a cell, a model's folder, or the file itself."""
    if place.is_file():
        return {place.stem: place}
    if (place / RUN_FILE).is_file() or (place / CELL_FILE).is_file():
        cells = compare.cells_of(place)
        return {f"{m} x {b}": prediction_table.prediction_file(path, f"{m}_{b}") for (m, b), (path, _) in cells.items()}
    below = [path.parent for pattern in ("*", "*/*") for path in sorted(place.glob(f"{pattern}/{CELL_FILE}"))]
    if below:  # the folder of `python -m vldock.image evaluate --out`, or a model's in it
        return {name: path for folder in below for name, path in files_of(folder).items()}
    stems = [path.name.removesuffix(IDENTITY) for path in sorted(place.glob(f"*{IDENTITY}"))]
    files = {stem: prediction_table.prediction_file(place, stem) for stem in stems}
    found = {stem: path for stem, path in files.items() if path.is_file()}
    if not found:
        raise InputRefused(
            f"{place} holds no predictions",
            expected=f"{RUN_FILE} or {CELL_FILE} of vldock matrix, or predictions of run.py: <model>_<benchmark>.xlsx",
            hint="ls outputs/",
        )
    return found


def read(path: Path) -> Predictions:
    """Return a prediction file and the notes beside it; raises InputRefused for one that cannot be read."""
    rows, reason = prediction_table.read_table(path)
    if reason:
        raise InputRefused(f"{path}: {reason}", expected="a prediction file of VLMEvalKit (.xlsx, .tsv or .json)")
    answers = {str(row["index"]): _text(row.get("prediction")) for row in rows}
    return Predictions(path, answers, _noted(path.with_name(f"{path.stem}{NOTES}")))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _noted(path: Path) -> dict[str, tuple[int, ...]]:
    """Return {sample: token ids} of the last note of each; a line that a kill tore is left out."""
    found: dict[str, tuple[int, ...]] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            note = json.loads(line)
            found[str(note["index"])] = tuple(int(token) for token in note["answer"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


def equality(name: str, one: Predictions, two: Predictions) -> Equality:
    """Compare two prediction files on the samples they share."""
    shared = [index for index in one.answers if index in two.answers]
    noted = [index for index in shared if index in one.tokens and index in two.tokens]
    wrong = {index: _wrong(one.tokens[index], two.tokens[index]) for index in noted}
    texts = [index for index in shared if one.answers[index] != two.answers[index]]
    changed = sorted({*texts, *(index for index in noted if wrong[index])}, key=shared.index)
    example = None
    if changed:
        index = changed[0]
        at = wrong[index][0] if wrong.get(index) else None
        example = Difference(index, one.answers[index], two.answers[index], at)
    return Equality(
        name=name,
        samples=len(shared),
        answers=len(texts),
        noted=len(noted),
        tokens=sum(max(len(one.tokens[index]), len(two.tokens[index])) for index in noted),
        differing_tokens=sum(len(places) for places in wrong.values()),
        only_first=len(one.answers) - len(shared),
        only_second=len(two.answers) - len(shared),
        example=example,
    )


def _wrong(one: tuple[int, ...], two: tuple[int, ...]) -> list[int]:
    """Return the positions at which two answers differ; beyond the end of one, all do."""
    longest = max(len(one), len(two))
    return [i for i in range(longest) if one[i : i + 1] != two[i : i + 1]]
