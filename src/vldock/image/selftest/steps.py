"""Steps of a self-test: names, order, results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vldock.common.errors import VldockError
from vldock.common.inference_options import BATCHED, STOCK
from vldock.image.selftest import cells, inference, train
from vldock.image.selftest.context import NeedsGpu, StepContext, StepResult

PASSED, FAILED, LEFT_OUT = "passed", "failed", "needs a GPU"
CELLS_STOCK, CELLS_BATCHED, COMPARED = f"cells, {STOCK}", f"cells, {BATCHED}", f"{STOCK} = {BATCHED}"
AFTERWARDS: dict[str, Callable[[StepContext], StepResult]] = {
    COMPARED: cells.compare,
    "other models": cells.evaluate_others,
    "session": inference.session,
    "predict.py": inference.predict,
    "features": inference.features,
    "LoRA": train.lora,
    "QLoRA": train.qlora,
    "torchrun": train.torchrun,
}
NAMES = (CELLS_STOCK, CELLS_BATCHED, *AFTERWARDS)
Log = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """Result of one step: passed, failed, or skipped without a GPU.

    `seen` has the cause of a failure.
    """

    name: str
    status: str
    seconds: float
    seen: str
    figures: dict[str, Any] = field(default_factory=dict)


def run_all(context: StepContext, *, jobs: int, log: Log) -> Iterator[Step]:
    """Run every step and yield its result.

    Results come in the order of NAMES; `jobs` commands run in parallel.
    The cells come first: later steps compare their answers with those of the stock engine.
    """
    for name, engine in ((CELLS_STOCK, STOCK), (CELLS_BATCHED, BATCHED)):
        yield run_step(name, partial(cells.evaluate, engine=engine, jobs=jobs), context, log=log)
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda name: run_step(name, AFTERWARDS[name], context, log=log), AFTERWARDS)


def run_step(name: str, work: Callable[[StepContext], StepResult], context: StepContext, *, log: Log) -> Step:
    """Run one step, logging its begin and end.

    Any exception fails this step and no other.
    """
    log(f"{name} ...")
    began = time.monotonic()
    try:
        seen = work(context)
        status, line, figures = PASSED, seen.line, dict(seen.figures)
    except NeedsGpu as error:
        status, line, figures = LEFT_OUT, str(error), {}
    except VldockError as error:
        wanted = f"; expected {error.expected}" if error.expected else ""
        status, line, figures = FAILED, f"{error.message}{wanted}", {}
    except Exception as error:  # noqa: BLE001  a step that breaks is a row of the table like any other
        status, line, figures = FAILED, f"{type(error).__name__}: {error}", {}
    step = Step(name, status, round(time.monotonic() - began, 1), " ".join(line.split()), figures)
    log(f"{name}: {step.status} after {step.seconds:.1f} s: {step.seen}")
    return step
