"""Batch of questions in JSONL, answered in JSONL.

It can be resumed after a kill.
A row of answers is Answer.as_json with `id`, `question`, `images` and `key`; a failed row has `error` in place of an
answer. An answer is reused for the same question, images, weights, prompt and decoding; all others, and failed ones,
are asked again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from vldock.common.errors import InputRefused, VldockError
from vldock.common.filesystem.atomic import write_text
from vldock.image.predict.request import Answer, Request, from_json

Row = dict[str, Any]
Ask = Callable[[Request], Answer]


@dataclass(frozen=True)
class BatchLine:
    """Line of questions: id, and request or error.

    The id is the line's number where it has none.
    """

    id: str
    request: Request | None
    error: str | None = None


def read(source: TextIO, name: str) -> list[BatchLine]:
    """Return the lines; an invalid one is a BatchLine with an error.

    Raises InputRefused for ids that repeat.
    """
    lines = [_line(number, text) for number, text in enumerate(source, start=1) if text.strip()]
    ids = [line.id for line in lines]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise InputRefused(
            f"{name}: the id {twice[0]!r} is there {ids.count(twice[0])} times", expected="ids of their own"
        )
    return lines


def run(lines: list[BatchLine], out: Path, ask: Ask, identity: list[Any]) -> tuple[int, int, int]:
    """Answer the lines into `out`; return (answered, kept, failed).

    Its rows end in the order of the lines.
    """
    before = {row["id"]: row for row in _rows(out) if "answer" in row}
    keys = {line.id: line.request.key(identity) for line in lines if line.request}
    kept = {name: row for name, row in before.items() if row.get("key") == keys.get(name)}
    rewrite(out, [kept[line.id] for line in lines if line.id in kept])
    rows = dict(kept)
    for number, line in enumerate(lines, start=1):
        if line.id in kept:
            continue
        rows[line.id] = _answered(line, keys.get(line.id), ask)
        with out.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(rows[line.id], ensure_ascii=False) + "\n")
        if (error := rows[line.id].get("error")) is not None:
            print(f"FAILED {number}/{len(lines)} {line.id}: {error}", file=sys.stderr, flush=True)
    rewrite(out, [rows[line.id] for line in lines])
    failed = sum("error" in row for row in rows.values())
    return len(lines) - len(kept) - failed, len(kept), failed


def rewrite(out: Path, rows: list[Row]) -> None:
    """Replace the content of `out` by the rows, atomically."""
    write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _answered(line: BatchLine, key: str | None, ask: Ask) -> Row:
    if line.request is None:
        return {"id": line.id, "error": line.error}
    asked = {"id": line.id, "question": line.request.question, "images": _short(line.request.images)}
    try:
        return {**asked, "key": key, **ask(line.request).as_json()}
    except VldockError as error:
        return {**asked, "error": error.message}


def _short(images: tuple[str, ...]) -> list[str]:
    """Return the sources without the data of data: URIs.

    The key covers that data.
    """
    return [f"{source[:24]}..." if source.startswith("data:") else source for source in images]


def _line(number: int, text: str) -> BatchLine:
    try:
        value = json.loads(text)
        request = from_json(value)
    except ValueError as error:
        return BatchLine(f"line {number}", None, f"it is no JSON: {error}")
    except VldockError as error:
        name = value.get("id", value.get("question_id")) if isinstance(value, dict) else None
        return BatchLine(str(name) if name is not None else f"line {number}", None, error.message)
    return BatchLine(request.id or f"line {number}", request)


def _rows(out: Path) -> Iterator[Row]:
    """Yield the existing rows, without one torn by a kill."""
    if not out.is_file():
        return
    for text in out.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(text)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            yield row
