"""`python -m vldock.image evaluate`: one model load, many benchmarks, one cell.json each.

`--data -` reads the benchmarks' names from standard input, one per line, each when the previous cell is done; an empty
line or the end of input ends. Under torchrun the ranks share each cell; rank 0 emits events and records.

Standard output carries events only (JSON lines with --json or when it is not a terminal); everything else goes to
DIR/logs/<model>.log. Exit status: 0 all cells succeeded, 1 some failed, 2 wrong arguments, 3 unfit environment,
4 refused input, 130/143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from vldock.common.names import spellings
from vldock.image import cuda_device
from vldock.image.answering import options
from vldock.image.engines.shared_model import SharedModel
from vldock.image.evaluation import cell as cell_evaluation
from vldock.image.evaluation import requests as evaluation_requests
from vldock.image.evaluation import stdin_queue
from vldock.image.evaluation.cell import CellJob
from vldock.image.evaluation.gpu_health import DeviceLost
from vldock.image.events import Emit, capture
from vldock.image.startup import prepare as startup
from vldock.image.vlmeval_hooks.files import table_check
from vldock.image.vlmeval_hooks.process import error_lines, ranks
from vldock.image.vlmeval_hooks.run import sample_limit


class Stopped(BaseException):
    """Stopped by a signal.

    Not an Exception, so that VLMEvalKit's own handlers let it through.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    parser.add_argument("--model", required=True, help="one model, by VLMEvalKit's name (llava_v1.5_7b)")
    parser.add_argument(
        "--data",
        required=True,
        nargs="+",
        metavar="BENCHMARK",
        help="benchmarks, by VLMEvalKit's names; - reads them from standard input",
    )
    parser.add_argument(
        "--limit", type=int, help=f"first N samples of each benchmark (default: ${sample_limit.VARIABLE}, or all)"
    )
    parser.add_argument(
        "--judge", help="the judge, as run.py's --judge (default: exact matching unless an API key is set)"
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="results go to OUT/<model>/<benchmark>, logs to OUT/logs"
    )
    parser.add_argument("--log", help="name of the log in OUT/logs (default: <model>.log)")
    parser.add_argument("--json", action="store_true", help="events as JSON lines even on a terminal")
    options.add(parser)


def main(args: argparse.Namespace) -> int:
    """Evaluate `args.model` on `args.data` and return the exit status."""
    options.resolve(args)
    args.model, args.data = _resolve_names(args)
    from_stdin = args.data == [stdin_queue.OPTION]
    if not from_stdin:
        evaluation_requests.find_benchmarks(args.data)
    evaluation_requests.require_model(args.model)
    limit = evaluation_requests.read_limit(args.limit)
    ranks.assign_gpus()
    _stop_on_signals()
    try:
        with stdin_queue.names() if from_stdin else nullcontext(iter(args.data)) as queue:
            standin = startup.prepare()
            log = args.out.resolve() / "logs" / (args.log or f"{args.model}.log")
            with capture(log, as_json=args.json or not sys.stdout.isatty()) as emit:
                emit = emit if ranks.rank() == 0 else _emit_nothing
                return EvaluationRun(args, limit, standin, emit, from_stdin=from_stdin).run(queue, log)
    except Stopped as stop:
        print("error: stopped; finished cells are kept, the same command continues", file=sys.stderr)
        return stop.exit_code


def _resolve_names(args: argparse.Namespace) -> tuple[str, list[str]]:
    """Return VLMEvalKit's names of the model and the benchmarks."""
    model, data = spellings.resolve_model(args.model), [spellings.resolve_benchmark(name) for name in args.data]
    if ranks.rank() == 0:
        spellings.print_replaced([args.model, *args.data], [model, *data])
    return model, data


def _emit_nothing(event: str, **fields: object) -> None:
    """Emit nothing: rank 0 emits."""


class EvaluationRun:
    """The cells of one process, evaluated with one model.

    The model is loaded for the first unfinished cell.
    """

    def __init__(
        self, args: argparse.Namespace, limit: int | None, standin: bool, emit: Emit, *, from_stdin: bool
    ) -> None:
        self.args, self.limit, self.standin, self.emit, self.from_stdin = args, limit, standin, emit, from_stdin
        self.shared: SharedModel | None = None
        self.load_error: str | None = None
        self.counts: Counter[str] = Counter()

    def run(self, names: Iterator[str], log: Path) -> int:
        """Evaluate the named benchmarks in order and return the exit status."""
        jobs: Iterable[CellJob] = (job for name in names for job in self.jobs([name]))
        planned: dict[str, object] = {"benchmarks": None, "cells": None}
        if not self.from_stdin:
            jobs = self.jobs(list(names))
            planned = {"benchmarks": [job.benchmark.name for job in jobs], "cells": len(jobs)}
        self.emit("start", model=self.args.model, **planned, device=_device(), standin=self.standin, limit=self.limit)
        with ranks.joined():
            for job in jobs:
                self.cell(job)
                if (self.from_stdin and self.load_error) or not ranks.in_sync():
                    break
        totals = {name: self.counts[name] for name in ("succeeded", "failed", "kept")}
        totals["succeeded"] += totals["kept"]
        self.emit("end", model=self.args.model, **totals, log=str(log))
        return 1 if totals["failed"] or self.load_error else 0

    def jobs(self, names: list[str]) -> list[CellJob]:
        """Return the cells of these names, each once."""
        return [
            evaluation_requests.make_job(self.args, benchmark, self.limit, standin=self.standin)
            for benchmark in evaluation_requests.find_benchmarks(names)
        ]

    def cell(self, job: CellJob) -> None:
        """Evaluate one benchmark, or reuse its record."""
        before = evaluation_requests.find_finished(job)
        if before is not None:
            self.counts["kept"] += 1
            self.emit("cell_end", kept=True, **asdict(before))
        elif refused := table_check.check_benchmark(job.benchmark.name, job.limit):
            self.record_refused(job, refused)
        elif not self.load():
            self.record_unloaded(job)
        elif ranks.rank() > 0:
            cell_evaluation.run_share(job)
        else:
            self.evaluate(job)

    def load(self) -> bool:
        """Load the model at the first call; return whether it is loaded."""
        if self.shared is None and self.load_error is None:
            shared = _register(self.args.model)
            try:
                seconds = shared.load()
            except Exception as error:  # whatever stops the load is the cause recorded for every cell
                logging.getLogger("vldock").exception("%s could not be loaded", self.args.model)
                self.load_error = f"{self.args.model} could not be loaded: {error_lines.one_line(error)}"
                return False
            self.shared = shared
            self.emit("model_loaded", model=self.args.model, seconds=round(seconds, 3), **asdict(shared.facts()))
        return self.load_error is None

    def record_refused(self, job: CellJob, lines: list[str]) -> None:
        """Record a cell with a refused table, before the model is loaded.

        The log lists every flaw.
        """
        print("\n".join(lines), flush=True)
        self.counts["failed"] += 1
        if ranks.rank() == 0:
            error = "; ".join([lines[-1], *lines[:-1][:3]])
            self.emit("cell_end", kept=False, **asdict(cell_evaluation.record_failure(job, error)))

    def record_unloaded(self, job: CellJob) -> None:
        """Record a cell without a loaded model.

        Names from stdin are emitted only: the sender may retry elsewhere.
        """
        if self.from_stdin:
            self.emit("model_failed", model=self.args.model, error=self.load_error)
            return
        self.counts["failed"] += 1
        self.emit("cell_end", kept=False, **asdict(cell_evaluation.record_failure(job, str(self.load_error))))

    def evaluate(self, job: CellJob) -> None:
        """Run the cell and emit its record.

        Raises DeviceLost, after emitting it, when the GPU is lost.
        """
        assert self.shared is not None
        try:
            cell = cell_evaluation.run(job, shared=self.shared, facts=self.shared.facts(), emit=self.emit)
        except DeviceLost as error:
            self.emit("device_lost", model=job.model, benchmark=job.benchmark.name, error=error.message)
            raise
        self.counts[cell.status] += 1
        self.emit("cell_end", kept=False, **asdict(cell))


def _register(model: str) -> SharedModel:
    from vlmeval.config import supported_VLM

    if model not in supported_VLM:
        raise evaluation_requests.unknown_name("model", model, list(supported_VLM))
    shared = SharedModel(supported_VLM[model])
    supported_VLM[model] = shared
    return shared


def _device() -> str:
    """Return the name of the chosen GPU, or cpu.

    Raises EnvironmentUnfit for an absent one.
    """
    from vldock.image.vlmeval_hooks.process import placement

    device = placement.choose_device()
    return cuda_device.name_of(device) if cuda_device.is_gpu(device) else device


def _stop_on_signals() -> None:
    """Stop at SIGTERM and SIGINT.

    Children of VLMEvalKit's pools keep the default handlers, or each would print it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
        os.register_at_fork(after_in_child=lambda number=number: signal.signal(number, signal.SIG_DFL))


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)
