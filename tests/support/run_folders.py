"""Run folders as `vldock matrix` leaves them, from the stand-ins' TSVs.

Every third prediction is wrong. `python -m support.run_folders DIR` (with tests/ on the path) makes one by hand;
scripts/check_report.sh does.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from support.builders import TIME, a_cell, a_plan
from vldock.common.matrix import Benchmark, matrix_benchmarks, matrix_models
from vldock.host.reports.samples import ROTATION, TOTALS_ONLY
from vldock.host.reports.thumbnails import STANDIN_DATA
from vldock.host.runs.folder import RunFolder
from vldock.host.runs.record import RunRecord, WorkPeriod

HOSTILE = "</script><script>alert('a prediction')</script><img src=x onerror=alert(1)><!-- {{ 7 * 7 }} &lt;"
FAILED = ("llava_v1.5_13b", "BLINK")
NOT_RUN = ("llava_v1.5_13b", "SEEDBench_IMG_KO")
CAUSE = "CUDA out of memory <b>at</b> layer 3"
MODELS = tuple(model.name for model in matrix_models())
BENCHMARKS = tuple(benchmark.name for benchmark in matrix_benchmarks())

Row = dict[str, Any]


def a_run(path: Path, *, standin: bool = True, wrong_every: int = 3) -> RunFolder:
    """Make a run of the 40 cells and return its folder.

    One cell failed and one was not run.
    """
    folder = RunFolder(path)
    (path / "logs").mkdir(parents=True)
    plan = a_plan(models=MODELS, benchmarks=BENCHMARKS, standin=standin)
    session = WorkPeriod(TIME, "2026-01-02T03:26:04+00:00")
    folder.save(RunRecord("r1", TIME, plan, "finished", (session,), {"vldock": "0.1.0", "note": HOSTILE}))
    for model in MODELS:
        for number, benchmark in enumerate(matrix_benchmarks()):
            if (model, benchmark.name) not in (FAILED, NOT_RUN):
                every = wrong_every + (number + MODELS.index(model)) % 3 if wrong_every else 0
                a_cell_folder(folder.cell(model, benchmark.name), model, benchmark, standin=standin, wrong_every=every)
        folder.model_log(model).write_text(f"loading\n===== {model} x BLINK, attempt 1 =====\n 10%\r 20%\n{CAUSE}\n")
    a_cell(*FAILED, status="failed", score=None, metric=None, error=CAUSE, standin=standin).save(folder.cell(*FAILED))
    return folder


def a_cell_folder(path: Path, model: str, benchmark: Benchmark, *, standin: bool = True, wrong_every: int = 3) -> None:
    """Write the files of one cell.

    They are VLMEvalKit's files and cell.json; the first prediction of POPE is hostile.
    """
    rows = [_predicted(row, number, wrong_every) for number, row in enumerate(tsv_rows(benchmark.name))]
    if benchmark.name == "POPE" and wrong_every:
        rows[0]["prediction"] = HOSTILE
    stem = path / f"{model}_{benchmark.name}"
    workbook(stem.with_name(f"{stem.name}.xlsx"), rows)
    verdicts = _verdicts(benchmark, rows)
    suffix = {"MCQ": "exact_matching_result", "Y/N": "auxmatch", "VQA": "results"}[benchmark.kind]
    if benchmark.name not in TOTALS_ONLY:
        workbook(stem.with_name(f"{stem.name}_{suffix}.xlsx"), verdicts)
    metric, score = headline(benchmark, verdicts)
    a_cell(
        model,
        benchmark.name,
        standin=standin,
        score=score,
        metric=metric,
        samples=len(rows),
        predictions=len(rows),
        identity={"tsv_md5": hashlib.md5((STANDIN_DATA / f"{benchmark.name}.tsv").read_bytes()).hexdigest()},
        judge=None if benchmark.kind == "VQA" else "exact_matching",
    ).save(path)


def tsv_rows(name: str) -> list[Row]:
    """Return the rows of a stand-in's TSV, without the images."""
    csv.field_size_limit(sys.maxsize)
    with (STANDIN_DATA / f"{name}.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [{key: value or None for key, value in row.items() if key != "image"} for row in rows]


def workbook(path: Path, rows: list[Row]) -> None:
    """Write rows as VLMEvalKit's xlsx: one sheet, a line of names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    for values in ([*rows[0]], *([*row.values()] for row in rows)):
        sheet.append([int(value) if str(value).isdecimal() else value for value in values])
    book.save(path)


def headline(benchmark: Benchmark, rows: list[Row]) -> tuple[str, float]:
    """Return the headline's name and the score VLMEvalKit would report for these verdicts."""
    if benchmark.name == "POPE":
        weighed = [row for row in rows for _ in row["category"].split(",")]
        hits = sum(row["answer"] == row["extracted"] == "Yes" for row in weighed)
        misses = sum((row["answer"] == "Yes") != (row["extracted"] == "Yes") for row in weighed)
        return "split=Overall|Overall", round(200 * hits / (2 * hits + misses), 4)
    if benchmark.name == "MMMU_DEV_VAL":
        rows = [row for row in rows if row["split"] == "validation"]
        return "split=validation|Overall", round(100 * sum(row["hit"] for row in rows) / len(rows), 4)
    right = [row["hit"] if "hit" in row else _right(row) for row in rows]
    return "Overall", round(100 * sum(right) / len(right), 4)


def _predicted(row: Row, number: int, wrong_every: int) -> Row:
    answer = row.get("answer") or row.get("answers") or ""
    first = json.loads(answer.replace("'", '"'))[0] if answer.startswith("[") else answer
    wrong = {"Yes": "No", "No": "Yes", "A": "B"}.get(first, "A" if len(first) == 1 else "xyzzy")
    return {**row, "prediction": wrong if wrong_every and number % wrong_every == 1 else first}


def _right(row: Row) -> bool:
    answer = row.get("answer") or row.get("answers") or ""
    return str(row["prediction"]) in answer


def _verdicts(benchmark: Benchmark, rows: list[Row]) -> list[Row]:
    if benchmark.kind == "Y/N":
        read = [{**row, "extracted": p if (p := row["prediction"]) in ("Yes", "No") else "Unknown"} for row in rows]
        return [{**row, "score": row["answer"] == row["extracted"]} for row in read]
    if benchmark.kind == "VQA":
        anls = benchmark.name.startswith(("DocVQA", "InfoVQA"))
        return [{**row, "eval_match": str([float(_right(row) != anls)])} for row in rows]
    judged = [{**row, "hit": int(_right(row)), "log": "Match"} for row in rows]
    if not benchmark.name.startswith("MMBench"):
        return judged
    groups: dict[int, list[Row]] = {}
    for row in judged:
        groups.setdefault(int(row["index"]) % ROTATION, []).append(row)
    return [{**group[0], "hit": min(row["hit"] for row in group)} for group in groups.values()]


if __name__ == "__main__":
    a_run(Path(sys.argv[1]))
