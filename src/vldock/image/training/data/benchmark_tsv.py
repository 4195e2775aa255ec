"""Held-out flowers as a custom benchmark: a multiple-choice TSV for run.py."""

from __future__ import annotations

import base64
import csv
import io
import string
from collections.abc import Sequence
from pathlib import Path

from vldock.common.filesystem.atomic import write_text
from vldock.image.training.data.flower_questions import CHOICE
from vldock.image.training.data.records import Record

NAME = "flowers_heldout"


def write(records: Sequence[Record], folder: Path, *, name: str = NAME) -> Path | None:
    """Write the multiple-choice records as a TSV; None where there are none.

    The file is `folder`/`name`.tsv.

    Columns as VLMEvalKit's CustomMCQDataset reads them: index, image (base64), question, A, B, ..., answer, category.
    """
    asked = [record for record in records if record.id.endswith("#choice")]
    if not asked:
        return None
    rows = [_row(number, record) for number, record in enumerate(asked)]
    letters = [letter for letter in string.ascii_uppercase if any(letter in row for row in rows)]
    text = io.StringIO(newline="")
    columns = ["index", "image", "question", *letters, "answer", "category"]
    writer = csv.DictWriter(text, columns, delimiter="\t", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(folder / f"{name}.tsv", text.getvalue())


def _row(number: int, record: Record) -> dict[str, str]:
    options = {line[0]: line[3:] for line in record.question.splitlines() if line[1:3] == ". "}
    image = base64.b64encode(record.pictures[0].read()).decode()
    row = {"index": str(number), "image": image, "question": CHOICE, "answer": record.answer, "category": record.group}
    return row | options
