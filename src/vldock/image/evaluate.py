"""`python -m vldock.image evaluate`: one model load, many benchmarks, one cell.json each.

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
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from vldock.common.cell import Cell
from vldock.common.errors import UsageError
from vldock.common.matrix import BENCHMARKS, MODELS, Benchmark, find_benchmark, find_model
from vldock.image import cell_run, startup
from vldock.image.cell_run import Job
from vldock.image.engines import options
from vldock.image.events import Emit, captured
from vldock.image.identity import NOT_YET, cell_identity
from vldock.image.shared_model import SharedModel
from vldock.image.vlmeval_hooks import causes, limits, names


class Stopped(BaseException):
    """A signal asked us to stop; not an Exception, so that VLMEvalKit's own handlers let it through."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-command's arguments."""
    parser.add_argument("--model", required=True, help="one model, by VLMEvalKit's name (llava_v1.5_7b)")
    parser.add_argument(
        "--data", required=True, nargs="+", metavar="BENCHMARK", help="benchmarks, by VLMEvalKit's names"
    )
    parser.add_argument(
        "--limit", type=int, help=f"first N samples of each benchmark (default: ${limits.VARIABLE}, or all)"
    )
    parser.add_argument("--judge", help="as run.py's --judge (default: exact matching unless an API key is set)")
    parser.add_argument(
        "--out", required=True, type=Path, help="results go to OUT/<model>/<benchmark>, logs to OUT/logs"
    )
    parser.add_argument("--json", action="store_true", help="events as JSON lines even on a terminal")
    options.add(parser)


def main(args: argparse.Namespace) -> int:
    """Evaluate `args.model` on `args.data` and return the exit status."""
    options.resolve(args)
    benchmarks = _benchmarks(args.data)
    _check_model(args.model)
    limit = _limit(args.limit)
    _stop_on_signals()
    try:
        standin = startup.prepare()
        log = args.out.resolve() / "logs" / f"{args.model}.log"
        with captured(log, as_json=args.json or not sys.stdout.isatty()) as emit:
            return _evaluate(args, benchmarks, limit, standin=standin, emit=emit, log=log)
    except Stopped as stop:
        print("error: stopped; finished cells are kept, the same command continues", file=sys.stderr)
        return stop.exit_code


def _evaluate(
    args: argparse.Namespace, benchmarks: list[Benchmark], limit: int | None, *, standin: bool, emit: Emit, log: Path
) -> int:
    jobs = [_job(args, benchmark, limit, standin=standin) for benchmark in benchmarks]
    kept = {job.benchmark.name: cell for job in jobs if (cell := _finished(job)) is not None}
    asked = {"model": args.model, "benchmarks": [job.benchmark.name for job in jobs]}
    emit("start", **asked, cells=len(jobs), device=_device(), standin=standin, limit=limit)
    for cell in kept.values():
        emit("cell_end", kept=True, **asdict(cell))
    cells = _run_jobs([job for job in jobs if job.benchmark.name not in kept], args.model, emit)
    counts = Counter(cell.status for cell in cells)
    totals = {"succeeded": counts["succeeded"] + len(kept), "failed": counts["failed"], "kept": len(kept)}
    emit("end", model=args.model, **totals, log=str(log))
    return 1 if counts["failed"] else 0


def _run_jobs(jobs: list[Job], model: str, emit: Emit) -> list[Cell]:
    if not jobs:
        return []
    shared = _register(model)
    try:
        seconds = shared.load()
    except Exception as error:  # whatever stops the load fails every cell, with that cause in each
        logging.getLogger("vldock").exception("%s could not be loaded", model)
        reason = f"{model} could not be loaded: {causes.one_line(error)}"
        cells = [cell_run.not_run(job, reason) for job in jobs]
        for cell in cells:
            emit("cell_end", kept=False, **asdict(cell))
        return cells
    facts = shared.facts()
    emit("model_loaded", model=model, seconds=round(seconds, 3), **asdict(facts))
    cells = []
    for job in jobs:
        cell = cell_run.run(job, shared=shared, facts=facts, emit=emit)
        cells.append(cell)
        emit("cell_end", kept=False, **asdict(cell))
    return cells


def _register(model: str) -> SharedModel:
    from vlmeval.config import supported_VLM

    if model not in supported_VLM:
        raise _unknown("model", model, list(supported_VLM))
    shared = SharedModel(supported_VLM[model])
    supported_VLM[model] = shared
    return shared


def _job(args: argparse.Namespace, benchmark: Benchmark, limit: int | None, *, standin: bool) -> Job:
    folder = args.out.resolve() / args.model / benchmark.name
    identity = cell_identity(model=args.model, benchmark=benchmark.name, limit=limit, standin=standin, judge=args.judge)
    before = Cell.load(folder)
    attempt = before.attempt + 1 if before else 1
    return Job(args.model, benchmark, folder, limit, args.judge, identity, attempt)


def _finished(job: Job) -> Cell | None:
    before = Cell.load(job.folder)
    if before is None or before.status != "succeeded":
        return None
    # what was not downloaded yet when the cell began is no difference
    known = {name: value for name, value in before.identity.items() if value is not None or name not in NOT_YET}
    same = known == {name: value for name, value in job.identity.items() if name in known} and known.keys() | set(
        NOT_YET
    ) >= set(job.identity)
    return before if same else None


def _benchmarks(asked: list[str]) -> list[Benchmark]:
    known = [benchmark.name for benchmark in BENCHMARKS]
    if unknown := [name for name in asked if name not in known]:
        raise _unknown("benchmark", unknown[0], known)
    return [found for name in dict.fromkeys(asked) if (found := find_benchmark(name))]


def _check_model(name: str) -> None:
    if find_model(name) is None:
        raise _unknown("model", name, [model.name for model in MODELS])


def _unknown(kind: str, name: str, known: list[str]) -> UsageError:
    close = names.close_to(name, known)
    hint = f"did you mean {' or '.join(close)}?" if close else "run.py evaluates whatever else VLMEvalKit knows"
    return UsageError(f"unknown {kind}: {name}", expected=", ".join(sorted(known)), hint=hint)


def _limit(given: int | None) -> int | None:
    """--limit before the variable; unlike run.py's own rule this prints nothing: standard output is for events."""
    if given is not None:
        return limits.positive(str(given), source="--limit")
    text = os.environ.get(limits.VARIABLE, "").strip()
    return limits.positive(text, source=limits.VARIABLE) if text else None


def _device() -> str:
    """Return the name of the GPU that will be used, or cpu; raises EnvironmentUnfit for one that is not there."""
    import torch

    from vldock.image.vlmeval_hooks import wrapper

    device = wrapper.device()
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _stop_on_signals() -> None:
    """Stop at SIGTERM and SIGINT; the children of VLMEvalKit's pools keep the default, or each would say so too."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
        os.register_at_fork(after_in_child=lambda number=number: signal.signal(number, signal.SIG_DFL))


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)
