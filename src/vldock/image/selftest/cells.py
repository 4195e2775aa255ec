"""Cells of `vldock matrix` by both engines, compared; one `evaluate` per model."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vldock.common.cell_record import Cell
from vldock.common.equality import Predictions, compare_answers, load_predictions
from vldock.common.errors import EvaluationFailed
from vldock.common.inference_options import BATCHED, STOCK
from vldock.common.matrix import MODELS, Model, find_model, matrix_benchmarks, matrix_models
from vldock.common.tables import text_cells
from vldock.image.selftest.context import IMAGE, StepContext, StepResult

QUICK = ("MMBench_DEV_EN", "TextVQA_VAL", "POPE")  # one of each kind
ENOUGH = 90.0


def models(context: StepContext) -> list[str]:
    """Return the models to evaluate."""
    return [model.name for model in matrix_models()][: 1 if context.quick else None]


def benchmarks(context: StepContext) -> list[str]:
    """Return the benchmarks to evaluate."""
    return list(QUICK) if context.quick else [one.name for one in matrix_benchmarks()]


def cell_folder(context: StepContext, engine: str, model: str, benchmark: str) -> Path:
    """Return the folder of a cell of `evaluate`."""
    return context.folder / engine / model / benchmark


def evaluate(context: StepContext, engine: str, *, jobs: int) -> StepResult:
    """Evaluate every cell by one engine, `jobs` models in parallel.

    Each must have a score and be of this device.
    """
    names = models(context)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda model: evaluate_model(context, engine, model, benchmarks(context)), names))
    found = [load_cell(context, engine, model, name) for model in names for name in benchmarks(context)]
    answers, first = sum(cell.predictions for cell in found), found[0]
    return StepResult(
        f"{len(found)} of {len(found)} cells, {answers} answers, {first.dtype} on {first.device}",
        {"cells": len(found), "answers": answers, "device": first.device, "dtype": first.dtype},
    )


def evaluate_model(
    context: StepContext,
    engine: str,
    model: str,
    names: Sequence[str],
    *,
    out: str | None = None,
    words: Sequence[str] = (),
) -> None:
    """Evaluate cells of one model in one process.

    Raises EvaluationFailed where the process does not end with 0.
    """
    where = out or engine
    argv = [*IMAGE, "evaluate", "--model", model, "--data", *names, "--limit", str(context.limit)]
    argv += ["--out", str(context.folder / where), "--engine", engine, *words, "--no-worker", "--json"]
    context.run(f"evaluate-{where}-{model}", argv)


def load_cell(context: StepContext, engine: str, model: str, benchmark: str) -> Cell:
    """Return a cell's record.

    Raises EvaluationFailed for a cell that failed, is incomplete, or ran on another device.
    """
    name = f"{model} x {benchmark} ({engine})"
    cell = Cell.load(cell_folder(context, engine, model, benchmark))
    if cell is None or cell.status != "succeeded" or cell.score is None:
        raise EvaluationFailed(f"{name} has no score: {cell.error if cell else 'no record'}")
    if not cell.samples == cell.predictions > 0:
        raise EvaluationFailed(f"{name}: {cell.predictions} of {cell.samples} answers")
    half = half_of(find_model(model))
    if context.gpu and (cell.device == "cpu" or cell.dtype != half):
        raise EvaluationFailed(f"{name} was computed in {cell.dtype} on {cell.device}", expected=f"{half} on the GPU")
    return cell


def half_of(model: Model | None) -> str:
    """Return the dtype of a model's weights on a GPU."""
    return "bfloat16" if model and model.remote_code else "float16"


def evaluate_others(context: StepContext) -> StepResult:
    """Evaluate the models outside the matrix on one benchmark of each kind, by VLMEvalKit's loop.

    Raises EvaluationFailed where a stand-in scores below 90.
    """
    names = [model.name for model in MODELS if not model.in_matrix]
    asked = QUICK[:1] if context.quick else QUICK
    scores = {}
    for model in names:
        evaluate_model(context, STOCK, model, asked)
        scores.update({f"{model} x {one}": load_cell(context, STOCK, model, one).score or 0.0 for one in asked})
    worst = min(scores, key=lambda name: scores[name])
    line = f"{len(names)} models, {len(scores)} cells, lowest {scores[worst]:.1f} ({worst})"
    if scores[worst] < ENOUGH:
        raise EvaluationFailed(line, expected=f"{ENOUGH} and more of each stand-in")
    return StepResult(line, {"models": len(names), "cells": len(scores), "lowest": scores[worst]})


def compare(context: StepContext) -> StepResult:
    """Compare both engines' answers and tokens, cell by cell.

    Raises EvaluationFailed where any differs.
    """
    found = [
        compare_answers(
            f"{model} x {name}", *(read_answers(context, engine, model, name) for engine in (STOCK, BATCHED))
        )
        for model in models(context)
        for name in benchmarks(context)
    ]
    samples, wrong = sum(one.samples for one in found), sum(one.answers for one in found)
    tokens, moved = sum(one.tokens for one in found), sum(one.differing_tokens for one in found)
    line = f"{2 * len(found)} cells: {wrong} of {samples} answers differ, {moved} of {tokens} tokens"
    if bad := [one for one in found if not one.equal or not one.tokens]:
        raise EvaluationFailed(f"{line}; first in {bad[0].name}: {bad[0].example or 'samples or tokens are missing'}")
    figures = {"cells": 2 * len(found), "answers": samples, "differing_answers": wrong}
    return StepResult(line, {**figures, "tokens": tokens, "differing_tokens": moved})


def read_answers(context: StepContext, where: str, model: str, benchmark: str) -> Predictions:
    """Return the answers of a cell of `evaluate`."""
    return read_predictions(cell_folder(context, where, model, benchmark) / f"{model}_{benchmark}.xlsx")


def read_predictions(path: Path) -> Predictions:
    """Return the predictions of a file of VLMEvalKit's, with notes.

    The notes are those beside the file.
    """
    from openpyxl import load_workbook

    rows = text_cells.sheet_rows(load_workbook(path, read_only=True))
    index, answer = rows[0].index("index"), rows[0].index("prediction")
    return load_predictions(
        path, {str(row[index]): "" if row[answer] is None else str(row[answer]) for row in rows[1:]}
    )
