"""`python -m vldock.image evaluate`: one model load, many benchmarks, one cell.json each.

`--data -` reads the benchmarks' names from standard input, one a line, each when the one before is done; an empty line
or the end of input ends. Under torchrun the ranks share each cell, and rank 0 tells and records.

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

from vldock.image import cuda_device
from vldock.image.answering import options
from vldock.image.engines.shared_model import SharedModel
from vldock.image.evaluation import cell as cell_evaluation
from vldock.image.evaluation import requests as evaluation_requests
from vldock.image.evaluation import stdin_queue
from vldock.image.evaluation.cell import CellJob
from vldock.image.evaluation.gpu_health import DeviceLost
from vldock.image.events import Emit, captured
from vldock.image.startup import prepare as startup
from vldock.image.vlmeval_hooks.files import table_check
from vldock.image.vlmeval_hooks.process import env_file, error_lines, ranks
from vldock.image.vlmeval_hooks.run import sample_limit


class Stopped(BaseException):
    """A signal asked us to stop; not an Exception, so that VLMEvalKit's own handlers let it through."""

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
    parser.add_argument("--judge", help="as run.py's --judge (default: exact matching unless an API key is set)")
    parser.add_argument(
        "--out", required=True, type=Path, help="results go to OUT/<model>/<benchmark>, logs to OUT/logs"
    )
    parser.add_argument("--log", help="name of the log in OUT/logs (default: <model>.log)")
    parser.add_argument("--json", action="store_true", help="events as JSON lines even on a terminal")
    options.add(parser)


def main(args: argparse.Namespace) -> int:
    """Evaluate `args.model` on `args.data` and return the exit status."""
    options.resolve(args)
    fed = args.data == [stdin_queue.WORD]
    if not fed:
        evaluation_requests.benchmarks(args.data)
    evaluation_requests.require_model(args.model)
    limit = evaluation_requests.limit(args.limit)
    ranks.place()
    _stop_on_signals()
    try:
        with stdin_queue.names() if fed else nullcontext(iter(args.data)) as asked:
            standin = startup.prepare()
            env_file.load_mounted()  # a cell's identity may depend on it
            log = args.out.resolve() / "logs" / (args.log or f"{args.model}.log")
            with captured(log, as_json=args.json or not sys.stdout.isatty()) as emit:
                tell = emit if ranks.rank() == 0 else _silent
                return EvaluationRun(args, limit, standin, tell, fed=fed).run(asked, log)
    except Stopped as stop:
        print("error: stopped; finished cells are kept, the same command continues", file=sys.stderr)
        return stop.exit_code


def _silent(event: str, **fields: object) -> None:
    """Tell nothing: rank 0 does."""


class EvaluationRun:
    """The cells of one process: the model is loaded for the first that is not finished."""

    def __init__(self, args: argparse.Namespace, limit: int | None, standin: bool, emit: Emit, *, fed: bool) -> None:
        self.args, self.limit, self.standin, self.emit, self.fed = args, limit, standin, emit, fed
        self.shared: SharedModel | None = None
        self.unloaded: str | None = None
        self.counts: Counter[str] = Counter()

    def run(self, asked: Iterator[str], log: Path) -> int:
        """Evaluate the benchmarks as they come and return the exit status."""
        jobs: Iterable[CellJob] = (job for name in asked for job in self.jobs([name]))
        told: dict[str, object] = {"benchmarks": None, "cells": None}
        if not self.fed:
            jobs = self.jobs(list(asked))
            told = {"benchmarks": [job.benchmark.name for job in jobs], "cells": len(jobs)}
        self.emit("start", model=self.args.model, **told, device=_device(), standin=self.standin, limit=self.limit)
        with ranks.joined():
            for job in jobs:
                self.cell(job)
                if (self.fed and self.unloaded) or not ranks.in_sync():
                    break
        totals = {name: self.counts[name] for name in ("succeeded", "failed", "kept")}
        totals["succeeded"] += totals["kept"]
        self.emit("end", model=self.args.model, **totals, log=str(log))
        return 1 if totals["failed"] or self.unloaded else 0

    def jobs(self, names: list[str]) -> list[CellJob]:
        """Return the cells of these names, each once."""
        return [
            evaluation_requests.job(self.args, benchmark, self.limit, standin=self.standin)
            for benchmark in evaluation_requests.benchmarks(names)
        ]

    def cell(self, job: CellJob) -> None:
        """Evaluate one benchmark, or keep its record."""
        before = evaluation_requests.finished(job)
        if before is not None:
            self.counts["kept"] += 1
            self.emit("cell_end", kept=True, **asdict(before))
        elif refused := table_check.refusal(job.benchmark.name, job.limit):
            self.refused(job, refused)
        elif not self.load():
            self.not_loaded(job)
        elif ranks.rank() > 0:
            cell_evaluation.take_part(job)
        else:
            self.evaluate(job)

    def load(self) -> bool:
        """Load the model if that was not tried yet; tell whether it is there."""
        if self.shared is None and self.unloaded is None:
            shared = _register(self.args.model)
            try:
                seconds = shared.load()
            except Exception as error:  # whatever stops the load is told as the cause of every cell
                logging.getLogger("vldock").exception("%s could not be loaded", self.args.model)
                self.unloaded = f"{self.args.model} could not be loaded: {error_lines.one_line(error)}"
                return False
            self.shared = shared
            self.emit("model_loaded", model=self.args.model, seconds=round(seconds, 3), **asdict(shared.facts()))
        return self.unloaded is None

    def refused(self, job: CellJob, lines: list[str]) -> None:
        """Record the cell as failed by its table, before the model is loaded for it; its log has every flaw."""
        print("\n".join(lines), flush=True)
        self.counts["failed"] += 1
        if ranks.rank() == 0:
            error = "; ".join([lines[-1], *lines[:-1][:3]])
            self.emit("cell_end", kept=False, **asdict(cell_evaluation.not_run(job, error)))

    def not_loaded(self, job: CellJob) -> None:
        """Record the cell as failed; who feeds the cells is told only, and may try another device."""
        if self.fed:
            self.emit("model_failed", model=self.args.model, error=self.unloaded)
            return
        self.counts["failed"] += 1
        self.emit("cell_end", kept=False, **asdict(cell_evaluation.not_run(job, str(self.unloaded))))

    def evaluate(self, job: CellJob) -> None:
        """Run the cell and tell its record; raises DeviceLost, told before, when the GPU is gone."""
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
        raise evaluation_requests.unknown("model", model, list(supported_VLM))
    shared = SharedModel(supported_VLM[model])
    supported_VLM[model] = shared
    return shared


def _device() -> str:
    """Return the name of the GPU that will be used, or cpu; raises EnvironmentUnfit for one that is not there."""
    from vldock.image.vlmeval_hooks.process import placement

    device = placement.device()
    return cuda_device.name_of(device) if cuda_device.is_gpu(device) else device


def _stop_on_signals() -> None:
    """Stop at SIGTERM and SIGINT; the children of VLMEvalKit's pools keep the default, or each would say so too."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
        os.register_at_fork(after_in_child=lambda number=number: signal.signal(number, signal.SIG_DFL))


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)
