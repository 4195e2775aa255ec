"""Write the samples as the TSVs that VLMEvalKit reads."""

from __future__ import annotations

import csv
from pathlib import Path

from vldock.image.standin.pictures import encode
from vldock.image.standin.samples.benchmarks import TABLES, Table
from vldock.image.standin.samples.sample import LETTERS, Sample

ANNOTATORS = 10


def answer_cell(table: Table, answer: str) -> str:
    """Return the answer as the table's evaluator wants it."""
    if table.answers == "plain":
        return answer
    return repr([answer] * (ANNOTATORS if table.answers == "ten" else 1))


def image_cells(table: Table, sample: Sample, row: int) -> dict[str, object]:
    """Return the image column, and image_path where the file has one."""
    images = [encode(name) for name in sample.pictures]
    if not table.lists:
        return {"image": images[0]}
    paths = [f"{row}_{number}.png" for number in range(1, len(images) + 1)]
    return {"image": repr(images), "image_path": repr(paths)}


def table_rows(name: str) -> list[dict[str, object]]:
    """Return the rows of benchmark `name`, column by column, in file order."""
    table = TABLES[name]
    rows: list[dict[str, object]] = []
    for number, sample in enumerate(table.samples()):
        row: dict[str, object] = {"index": number, "question": sample.question}
        for letter, text in zip(LETTERS[: table.options], sample.options, strict=False):
            row[letter] = text
        row[table.column] = answer_cell(table, sample.answer)
        row |= image_cells(table, sample, number)
        row |= sample.cells
        if name == "MMMU_DEV_VAL":
            row["split"] = "dev" if number < 3 else "validation"
        rows.append(row)
    return rows


def write_table(name: str, folder: Path) -> Path:
    """Write `name`.tsv into `folder` and return its path."""
    rows = table_rows(name)
    letters = list(LETTERS[: TABLES[name].options])
    seen = dict.fromkeys(["index", "question", *letters, *(key for row in rows for key in row)])
    path = folder / f"{name}.tsv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(seen), delimiter="\t", lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)
    return path
