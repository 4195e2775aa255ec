"""VLMEvalKit's records of a cell's samples: prediction, answer, verdict.

Where the verdict stands, by VLMEvalKit's kind of benchmark (ms-vlmeval 0.0.20):

MCQ     <cell>_<judge>_result.xlsx, column hit; a circular benchmark (MMBench) has one row for all rotations
Y/N     <cell>_auxmatch.xlsx, column score
VQA     <cell>_results.xlsx, column eval_match: one figure per reference answer, joined as utils/vqa_eval.py's
        hit_calculate does (mean; the best for ChartQA; ANLS from 0.5 on for DocVQA and InfoVQA)

With PRED_FORMAT=tsv or json these end in .tsv or .json, as the predictions do.

OCRBench, VizWiz, NaturalBench and CC-OCR leave only totals: their samples have no verdict, and none is made up here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vldock.common.cell_record import Cell
from vldock.common.matrix import Benchmark, find_benchmark
from vldock.host.reports import prediction_table

Row = Mapping[str, Any]
ROTATION = 1_000_000  # a rotated question's index is its question's plus a multiple of this
RIGHT_FROM = 0.5  # of a graded score (TextVQA's and GQA's mean over references, ANLS)
TOTALS_ONLY = ("OCRBench", "VizWiz", "NaturalBenchDataset", "CCOCR_MultiLanOcr_Korean")
OPTIONS = "ABCDEFGHI"


@dataclass(frozen=True)
class Sample:
    """One row of a prediction file.

    `score` is 0-1, None where VLMEvalKit recorded none for this row.
    """

    index: str
    question: str
    options: tuple[tuple[str, str], ...]
    prediction: str
    answer: str
    score: float | None = None
    extracted: str | None = None
    category: str = ""
    split: str = ""
    note: str = ""

    @property
    def right(self) -> bool | None:
        """Whether it counts as right: a score of one half or more.

        None without a verdict.
        """
        return None if self.score is None else self.score >= RIGHT_FROM


@dataclass(frozen=True)
class Samples:
    """Samples of a cell in the order of its prediction file.

    `reason` says why there are none, or no verdicts.
    """

    rows: tuple[Sample, ...] = field(default=())
    reason: str | None = None

    @property
    def judged(self) -> tuple[Sample, ...]:
        """Rows with a score."""
        return tuple(row for row in self.rows if row.score is not None)


def read(folder: Path, cell: Cell) -> Samples:
    """Read the samples of a cell.

    A missing or broken file is a reason, no error.
    """
    stem = f"{cell.model}_{cell.benchmark}"
    file = prediction_table.prediction_file(folder, stem)
    predictions, reason = prediction_table.read_table(file)
    if reason:
        return Samples(reason=reason)
    benchmark = find_benchmark(cell.benchmark)
    if benchmark is None:
        return Samples(reason=f"{cell.benchmark} is not a benchmark vldock declares")
    scores: dict[str, tuple[float, str | None]] = {}
    if cell.benchmark in TOTALS_ONLY:
        reason = "VLMEvalKit records totals only for this benchmark, no verdict per sample"
    else:
        verdicts, reason = prediction_table.read_table(verdict_file(file, benchmark, cell.judge))
        scores = dict(_scores(benchmark, verdicts))
        if verdicts and not scores:
            reason = "VLMEvalKit's evaluation file has no verdict per sample"
    rotations = dict[str, list[Row]]()
    for row in predictions:
        if str(row["index"]) not in scores and (question := rotated_question(str(row["index"]))) is not None:
            rotations.setdefault(question, []).append(row)
    return Samples(tuple(_sample(row, scores, rotations) for row in predictions), reason)


def rotated_question(index: str) -> str | None:
    """Return the question a row is a rotation of, or None.

    A circular benchmark asks each question with its options rotated.
    """
    return str(int(index) % ROTATION) if index.isdecimal() and int(index) >= ROTATION else None


def verdict_file(predictions: Path, benchmark: Benchmark, judge: str | None) -> Path:
    """Return VLMEvalKit's verdict file of a kind of benchmark.

    It lies beside the predictions, in their format.
    """
    words = {"Y/N": "auxmatch", "VQA": "results"}
    word = words.get(benchmark.kind, f"{judge or 'exact_matching'}_result")
    return predictions.with_name(f"{predictions.stem}_{word}{predictions.suffix}")


def _scores(benchmark: Benchmark, rows: Sequence[Row]) -> Iterator[tuple[str, tuple[float, str | None]]]:
    for row in rows:
        score = _score(benchmark, row)
        if score is not None:
            extracted = row.get("extracted") if benchmark.kind == "Y/N" else None
            yield str(row["index"]), (score, None if extracted is None else str(extracted))


def _score(benchmark: Benchmark, row: Row) -> float | None:
    if benchmark.kind == "VQA":
        return _joined(benchmark.name, row.get("eval_match"))
    value = row.get("hit" if benchmark.kind == "MCQ" else "score")
    return float(value) if isinstance(value, bool | int | float) and 0 <= value <= 1 else None


def _joined(benchmark: str, text: Any) -> float | None:
    """Return the score of a sample's eval_match, as VLMEvalKit's hit_calculate joins it."""
    try:
        match = [float(value) for value in ast.literal_eval(str(text))]
    except (ValueError, SyntaxError, TypeError):
        return None
    if not match:
        return None
    if benchmark.startswith(("DocVQA", "InfoVQA")):
        similarity = 1 - min(match)
        return similarity if similarity >= 0.5 else 0.0
    return max(match) if benchmark.startswith("ChartQA") else sum(match) / len(match)


def _sample(row: Row, scores: Mapping[str, tuple[float, str | None]], rotations: Mapping[str, Sequence[Row]]) -> Sample:
    index = str(row["index"])
    score, extracted = scores.get(index, (None, None))
    question, note = rotated_question(index), ""
    if score is None and question in scores:
        note = f"a rotation of question {question}, which has the verdict of all its rotations"
    elif score is not None and index in rotations:
        said = ", ".join(f"{_text(row.get('prediction'))} for {_text(row.get('answer'))}" for row in rotations[index])
        note = f"right only if all its rotations are; in those it said {said}"
    return Sample(
        index=index,
        question=_text(row.get("question")),
        options=tuple((letter, _text(row[letter])) for letter in OPTIONS if row.get(letter) is not None),
        prediction=_text(row.get("prediction")),
        answer=_text(row.get("answer", row.get("answers"))),
        score=score,
        extracted=extracted,
        category=_text(row.get("category")),
        split=_text(row.get("split")),
        note=note,
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)
