"""Images, questions and conversations for the steps.

They come from the stand-ins' tables. Standard library only.
"""

from __future__ import annotations

import ast
import base64
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from vldock.image.standin.manifest import ASSETS

Row = dict[str, str]


def rows_of(benchmark: str) -> list[Row]:
    """Return the rows of a stand-in's table.

    Where `image` is another row's index, that row's image is filled in.
    """
    csv.field_size_limit(sys.maxsize)
    with (ASSETS / "LMUData" / f"{benchmark}.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    pictures = {row["index"]: row["image"] for row in rows}
    return [{**row, "image": pictures.get(row["image"], row["image"])} for row in rows]


def picture_of(row: Row) -> bytes:
    """Return a row's first image."""
    text = row["image"]
    return base64.b64decode(ast.literal_eval(text)[0] if text.startswith("[") else text)


def write_pictures(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write each row's first image and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for row in rows:
        content = picture_of(row)
        suffix = "png" if content.startswith(b"\x89PNG") else "jpg"
        paths.append(folder / f"{row['index']}.{suffix}")
        paths[-1].write_bytes(content)
    return paths


def write_questions(rows: Sequence[Row], folder: Path) -> Path:
    """Write a file of questions for predict.py --questions.

    Each question has its image. Returns the file's path.
    """
    pictures = write_pictures(rows, folder / "pictures")
    lines = [
        {"id": row["index"], "image": str(path), "question": row["question"]}
        for row, path in zip(rows, pictures, strict=True)
    ]
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_conversations(benchmark: str, folder: Path, *, training: int, heldout: int) -> tuple[Path, Path]:
    """Write LLaVA conversations of rows with distinct images; return (training, held-out) files."""
    distinct = list({picture_of(row): row for row in rows_of(benchmark)}.values())[: training + heldout]
    if len(distinct) < training + heldout:
        raise ValueError(f"{benchmark} has {len(distinct)} pictures, {training + heldout} are needed")
    pictures = write_pictures(distinct, folder)
    records = [
        {
            "id": row["index"],
            "image": path.name,
            "conversations": [
                {"from": "human", "value": f"<image>\n{row['question']}"},
                {"from": "gpt", "value": row["answer"]},
            ],
        }
        for row, path in zip(distinct, pictures, strict=True)
    ]
    paths = folder / "training.json", folder / "heldout.json"
    for path, part in zip(paths, (records[:training], records[training:]), strict=True):
        path.write_text(json.dumps(part), encoding="utf-8")
    return paths
