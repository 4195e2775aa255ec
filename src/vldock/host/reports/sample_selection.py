"""Samples shown in report.html, with their images, within a budget of bytes."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from vldock.common.cell_record import Cell
from vldock.host.reports import html_page
from vldock.host.reports.samples import Sample
from vldock.host.reports.score_intervals import Gathered
from vldock.host.reports.thumbnails import Album, find_tsv, read_pictures
from vldock.host.runs.plan import RunPlan

PER_CELL = 12
PICTURES_EACH = 4
TEXT_BUDGET = 4_000_000  # bytes of JSON; with the images, the page and its tables remain below 15 MB
PICTURE_BUDGET = 9_000_000
CLIP = {"question": 3000, "prediction": 3000, "answer": 1000, "option": 500}

Key = tuple[str, str]


@dataclass(frozen=True)
class SampleSelection:
    """Samples and images of the page, numbers left out, and remarks.

    Samples are plain values for JSON; images are by key.
    """

    samples: tuple[dict[str, Any], ...]
    pictures: Mapping[str, str]
    left_out: int
    pictures_left_out: int
    remarks: tuple[str, ...]


def choose(plan: RunPlan, cells: Sequence[Cell], gathered: Gathered, *, per_cell: int = PER_CELL) -> SampleSelection:
    """Return up to `per_cell` samples of each cell.

    Where a budget ends, every cell has about as many.
    """
    keys = [(cell.model, cell.benchmark) for cell in cells if (cell.model, cell.benchmark) in gathered]
    chosen = {key: pick_rows(gathered[key].samples.rows, per_cell) for key in keys}
    encoded, remarks = _encoded(plan, cells, chosen)
    album, made, size, left_out = Album(PICTURE_BUDGET), list[dict[str, Any]](), 0, 0
    for rank in zip_longest(*chosen.values()):
        for key, sample in zip(keys, rank, strict=True):
            if sample is None:
                continue
            item = _plain(key, sample)
            size += len(html_page.as_json(item).encode(errors="replace"))
            if size > TEXT_BUDGET:
                left_out += 1
                continue
            shown = [album.add(text) for text in encoded.get(key, {}).get(sample.index, [])[:PICTURES_EACH]]
            made.append({**item, "pictures": [name for name in shown if name is not None]})
    order = {key: number for number, key in enumerate(keys)}
    made.sort(key=lambda item: order[item["model"], item["benchmark"]])
    return SampleSelection(tuple(made), album.uris, left_out, album.left_out, tuple(remarks))


def pick_rows(rows: Sequence[Sample], most: int) -> tuple[Sample, ...]:
    """Return at most `most` distinct rows, in their order.

    Half of them are wrong if possible.
    """
    if len(rows) <= most:
        return tuple(rows)
    wrong = [row for row in rows if row.right is False]
    right = [row for row in rows if row.right is True]
    rest = [row for row in rows if row.right is None]
    half = wrong[: max(most // 2, most - len(right))]
    judged = half + right[: most - len(half)]
    chosen = {row.index for row in judged + rest[: most - len(judged)]}
    return tuple(row for row in rows if row.index in chosen)


def _encoded(
    plan: RunPlan, cells: Sequence[Cell], chosen: Mapping[Key, Sequence[Sample]]
) -> tuple[dict[Key, dict[str, list[str]]], list[str]]:
    """Return the base64 images of the chosen samples by cell.

    A TSV two models share is read once.
    """
    by_file: dict[Any, list[Key]] = {}
    remarks = dict[str, None]()
    for cell in cells:
        key = (cell.model, cell.benchmark)
        if not chosen.get(key):
            continue
        path, reason = find_tsv(plan, cell)
        if path is None:
            remarks[f"{cell.benchmark}: no pictures, because {reason}"] = None
        else:
            by_file.setdefault(path, []).append(key)
    found: dict[Key, dict[str, list[str]]] = {}
    for path, keys in by_file.items():
        try:
            pictures = read_pictures(path, {row.index for key in keys for row in chosen[key]})
        except (csv.Error, OSError) as error:
            remarks[f"{keys[0][1]}: no pictures, because {path.name} cannot be read: {error}"] = None
            continue
        found |= dict.fromkeys(keys, pictures)
    return found, list(remarks)


def _plain(key: Key, sample: Sample) -> dict[str, Any]:
    verdict = {True: "right", False: "wrong", None: "none"}[sample.right]
    return {
        "model": key[0],
        "benchmark": key[1],
        "index": sample.index,
        "verdict": verdict,
        "score": None if sample.score is None else round(sample.score, 4),
        "question": clip(sample.question, CLIP["question"]),
        "options": [[letter, clip(text, CLIP["option"])] for letter, text in sample.options],
        "prediction": clip(sample.prediction, CLIP["prediction"]),
        "answer": clip(sample.answer, CLIP["answer"]),
        "category": clip(sample.category, 200),
        "note": sample.note,
    }


def clip(text: str, most: int) -> str:
    """Return the text, cut to `most` characters with a note of the rest."""
    return text if len(text) <= most else f"{text[:most]} [... {len(text) - most} more characters]"
