"""Requested cells of `evaluate`.

Names are checked, cells made of them, and finished ones found.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from vldock.common import standin_choice
from vldock.common.cell_record import Cell
from vldock.common.errors import UsageError
from vldock.common.matrix import BENCHMARKS, MODELS, Benchmark, find_benchmark, find_model
from vldock.common.names import spellings
from vldock.image.evaluation.cell import CellJob
from vldock.image.evaluation.cell_identity import NOT_YET, cell_identity
from vldock.image.vlmeval_hooks.models import requirements
from vldock.image.vlmeval_hooks.run import sample_limit


def make_job(args: argparse.Namespace, benchmark: Benchmark, limit: int | None, *, standin: bool) -> CellJob:
    """Return the cell of a benchmark, with the number of this attempt."""
    folder = args.out.resolve() / args.model / benchmark.name
    identity = cell_identity(model=args.model, benchmark=benchmark.name, limit=limit, standin=standin, judge=args.judge)
    before = Cell.load(folder)
    attempt = before.attempt + 1 if before else 1
    return CellJob(args.model, benchmark, folder, limit, args.judge, identity, attempt)


def find_finished(job: CellJob) -> Cell | None:
    """Return the record of a cell finished by an earlier run.

    Only a record with this identity counts; None without one.
    """
    before = Cell.load(job.folder)
    if before is None or before.status != "succeeded":
        return None
    return before if _is_same(before.identity, job.identity) else None


def _is_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two identities are equal.

    A value unknown before the download equals any.
    """
    return all(
        before.get(name, ...) == now.get(name, ...) or (name in NOT_YET and before.get(name) is None)
        for name in {*before, *now}
    )


def find_benchmarks(requested: list[str]) -> list[Benchmark]:
    """Return the benchmarks of these names, each once.

    Raises UsageError for an unknown name.
    """
    known = [benchmark.name for benchmark in BENCHMARKS]
    if wrong := [name for name in requested if name not in known]:
        raise unknown_name("benchmark", wrong[0], known)
    return [found for name in dict.fromkeys(requested) if (found := find_benchmark(name))]


def require_model(name: str) -> None:
    """Raise UsageError for an undeclared model, or one without a required stand-in.

    EnvironmentUnfit for one that the memory cannot hold.
    """
    if find_model(name) is None:
        raise unknown_name("model", name, [model.name for model in MODELS])
    if standin_choice.read_choice(os.environ):
        standin_choice.require([name])
    requirements.require_memory([name])


def unknown_name(kind: str, name: str, known: list[str]) -> UsageError:
    """Return the error for an unknown name, with similar names."""
    close = spellings.suggest(name, known, declared=known)
    hint = f"did you mean {' or '.join(close)}?" if close else "run.py evaluates whatever else VLMEvalKit knows"
    return UsageError(f"unknown {kind}: {name}", expected=", ".join(sorted(known)), hint=hint)


def read_limit(option: int | None) -> int | None:
    """Return --limit, else the variable's value.

    Unlike run.py's rule it prints nothing, because stdout has events only.
    """
    if option is not None:
        return sample_limit.parse_positive(str(option), source="--limit")
    text = os.environ.get(sample_limit.VARIABLE, "").strip()
    return sample_limit.parse_positive(text, source=sample_limit.VARIABLE) if text else None
