"""`vldock equal A B`: equality of two sets of predictions.

Answers are compared, and tokens where both sides noted them.

A set is a run of `vldock matrix`, one of its cells, a model's folder of run.py, or one prediction file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common.cell_record import CELL_FILE
from vldock.common.equality import Equality, Predictions, compare_answers, load_predictions
from vldock.common.errors import InputRefused
from vldock.host.reports import compare, prediction_table
from vldock.host.runs.folder import RUN_FILE

IDENTITY = "_identity.json"


@dataclass(frozen=True)
class PredictionComparison:
    """Pairs of prediction files, and files of one side only."""

    first: str
    second: str
    cells: tuple[Equality, ...]
    unpaired: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs and no file is unpaired."""
        return not self.unpaired and all(cell.equal for cell in self.cells)

    def as_json(self) -> dict[str, Any]:
        """Return the values for --json."""
        return {
            "first": self.first,
            "second": self.second,
            "equal": self.equal,
            "unpaired": list(self.unpaired),
            "cells": [cell.as_json() for cell in self.cells],
        }


def compare_predictions(first: Path, second: Path) -> PredictionComparison:
    """Compare two sets of predictions.

    Raises InputRefused where one has none, or where nothing can be paired.
    """
    one, two = find_prediction_files(first), find_prediction_files(second)
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
            cells.append(compare_answers(name, read_predictions(mine), read_predictions(theirs)))
        except InputRefused as refusal:
            if len(pairs) == 1:
                raise
            left.append(f"{name}: {refusal.message}")  # a cell that failed: nothing says that it is equal
    return PredictionComparison(str(first), str(second), tuple(cells), tuple(left))


def find_prediction_files(place: Path) -> dict[str, Path]:
    """Return {cell: prediction file} of a run, cell, model folder or file."""
    if place.is_file():
        return {place.stem: place}
    if (place / RUN_FILE).is_file() or (place / CELL_FILE).is_file():
        cells = compare.read_cells(place)
        return {f"{m} x {b}": prediction_table.prediction_file(path, f"{m}_{b}") for (m, b), (path, _) in cells.items()}
    below = [path.parent for pattern in ("*", "*/*") for path in sorted(place.glob(f"{pattern}/{CELL_FILE}"))]
    if below:  # the folder of `python -m vldock.image evaluate --out`, or a model's in it
        return {name: path for folder in below for name, path in find_prediction_files(folder).items()}
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


def read_predictions(path: Path) -> Predictions:
    """Read a prediction file and its notes; raises InputRefused for an unreadable one."""
    rows, reason = prediction_table.read_table(path)
    if reason:
        raise InputRefused(f"{path}: {reason}", expected="a prediction file of VLMEvalKit (.xlsx, .tsv or .json)")
    answers = {str(row["index"]): _text(row.get("prediction")) for row in rows}
    return load_predictions(path, answers)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
