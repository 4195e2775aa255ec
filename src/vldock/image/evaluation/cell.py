"""One cell: VLMEvalKit evaluates one benchmark with a loaded model."""

from __future__ import annotations

import logging
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vldock.common import passport
from vldock.common.cell_record import Cell
from vldock.common.matrix import Benchmark
from vldock.image.answering.model_facts import Facts
from vldock.image.engines.shared_model import SharedModel
from vldock.image.evaluation import gpu_health, outcome
from vldock.image.evaluation.outcome import CellResult
from vldock.image.events import Emit
from vldock.image.vlmeval_hooks.process import error_lines, ranks

PROGRESS_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class CellJob:
    """A cell to evaluate, and the folder of its files."""

    model: str
    benchmark: Benchmark
    folder: Path
    limit: int | None
    judge: str | None
    identity: dict[str, Any]
    attempt: int


class Progress:
    """Counts answers.

    Emits cell_start once, then progress at most every half second and at the last sample.
    """

    def __init__(self, job: CellJob, emit: Emit) -> None:
        self._job = job
        self._emit = emit
        self._last = 0.0
        self.samples: int | None = None  # None until VLMEvalKit has built the benchmark
        self.resumed: int | None = None
        self.answered = 0

    def start(self, samples: int) -> None:
        """Emit cell_start when the benchmark is read.

        Only once, although under torchrun rank 0 reads it twice.
        """
        if self.samples is not None:
            return
        self.samples = samples
        self._emit("cell_start", model=self._job.model, benchmark=self._job.benchmark.name, samples=samples)

    def question(self) -> None:
        """Count, at the first question, the answers of an interrupted run."""
        if self.resumed is None:
            self.resumed = min(_count_saved_answers(self._job), self.samples or 0)

    def answer(self) -> None:
        """Count one answer."""
        self.answered += 1
        done = min((self.resumed or 0) + self.answered * ranks.world_size(), self.samples or 0)
        if done == self.samples or time.monotonic() - self._last >= PROGRESS_EVERY:
            self._last = time.monotonic()
            names = {"model": self._job.model, "benchmark": self._job.benchmark.name}
            self._emit("progress", **names, done=done, total=self.samples)


def run(job: CellJob, *, shared: SharedModel, facts: Facts, emit: Emit) -> Cell:
    """Run one cell, write its cell.json and return it.

    A failed evaluation is a failed cell, not an exception.
    Raises DeviceLost, without a record, when it failed because the GPU is lost.
    """
    progress = Progress(job, emit)
    shared.on_question, shared.on_answer = progress.question, progress.answer
    started, begun = _now(), time.monotonic()
    print(f"===== {job.model} x {job.benchmark.name}, attempt {job.attempt} =====", flush=True)
    raised: str | None = None
    try:
        _evaluate(job, progress)
    except Exception as error:  # VLMEvalKit raises anything: this cell records it, the others go on
        logging.getLogger("vldock").exception("%s failed", job.benchmark.name)
        raised = error_lines.one_line(error)
    _rename_passport(job)
    seen = outcome.read(job.folder, model=job.model, benchmark=job.benchmark, samples=progress.samples)
    if progress.samples is None:
        progress.start(seen.samples)
    if raised:
        seen = replace(seen, error=raised, score=None)
    if seen.error:
        gpu_health.require_alive()
    return _record(job, seen, facts, started=started, seconds=round(time.monotonic() - begun, 3))


def run_share(job: CellJob) -> None:
    """Answer this rank's share of a cell recorded by rank 0.

    VLMEvalKit's exceptions pass through.
    """
    print(f"===== {job.model} x {job.benchmark.name}, rank {ranks.rank()} of {ranks.world_size()} =====", flush=True)
    _evaluate(job, Progress(job, lambda event, **fields: None))


def _rename_passport(job: CellJob) -> None:
    """Rename the cell's passport to passport.json; remove one of an earlier attempt."""
    (job.folder / passport.FILE).unlink(missing_ok=True)
    written = job.folder / f"{job.model}_{job.benchmark.name}{passport.SUFFIX}"
    if written.is_file():
        written.replace(job.folder / passport.FILE)


def record_failure(job: CellJob, error: str) -> Cell:
    """Write and return the record of a cell failed before evaluation."""
    unknown = Facts("unknown", "unknown", "unknown")
    return _record(job, outcome.empty_result(error), unknown, started=_now(), seconds=0.0)


def _record(job: CellJob, seen: CellResult, facts: Facts, *, started: str, seconds: float) -> Cell:
    cell = Cell(
        model=job.model,
        benchmark=job.benchmark.name,
        status="failed" if seen.error else "succeeded",
        standin=bool(job.identity["standin"]),
        samples=seen.samples,
        predictions=seen.predictions,
        score=seen.score,
        metric=seen.metric,
        metrics=seen.metrics,
        judge=seen.judge,
        error=seen.error,
        limit=job.limit,
        seconds=seconds,
        started=started,
        finished=_now(),
        attempt=job.attempt,
        device=facts.device,
        dtype=facts.dtype,
        attention=facts.attention,
        identity=job.identity,
        findings=seen.findings,
    )
    cell.save(job.folder)
    return cell


def _evaluate(job: CellJob, progress: Progress) -> None:
    from vlmeval import run as upstream

    logging.getLogger("vlmeval").handlers.clear()  # or every cell's log goes to the first cell's folder
    arguments = ["--data", job.benchmark.name, "--model", job.model, "--work-dir", str(job.folder)]
    arguments += ["--limit", str(job.limit)] if job.limit else []
    arguments += ["--judge", job.judge] if job.judge else []
    with _argv(["run.py", *arguments]), _watched_build(upstream, job, progress):
        parsed = upstream.parse_args()
        parsed.limit = job.limit
        parsed.pred_root = str(job.folder)
        upstream.run_local_mode(parsed)


@contextmanager
def _argv(argv: list[str]) -> Iterator[None]:
    saved, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = saved


@contextmanager
def _watched_build(upstream: Any, job: CellJob, progress: Progress) -> Iterator[None]:
    """Take the number of rows from the benchmark as VLMEvalKit builds it.

    A large TSV is then not read twice.
    """
    build: Callable[..., Any] = upstream.build_dataset

    def watched(name: str, **kwargs: Any) -> Any:
        dataset = build(name, **kwargs)
        if dataset is not None:
            progress.start(min(len(dataset.data), job.limit or len(dataset.data)))
        return dataset

    upstream.build_dataset = watched
    try:
        yield
    finally:
        upstream.build_dataset = build


def _count_saved_answers(job: CellJob) -> int:
    """Return the number of answers in VLMEvalKit's checkpoints.

    Those of this and of other numbers of ranks.
    """
    paths = [*job.folder.glob(f"*_{job.benchmark.name}.pkl"), *job.folder.glob("*_PREV.pkl")]
    known = set()
    for path in paths:
        try:
            with path.open("rb") as stream:
                known |= set(pickle.load(stream))
        except (pickle.UnpicklingError, EOFError, FileNotFoundError):
            continue
    return len(known)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
