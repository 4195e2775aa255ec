"""The steps of a self-test: their names, their order, and what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vldock.common.errors import VldockError
from vldock.common.inference_options import BATCHED, STOCK
from vldock.image.selftest import cells, train, use
from vldock.image.selftest.bench import Bench, NeedsGpu, StepResult

PASSED, FAILED, LEFT_OUT = "passed", "failed", "needs a GPU"
CELLS_STOCK, CELLS_BATCHED, COMPARED = f"cells, {STOCK}", f"cells, {BATCHED}", f"{STOCK} = {BATCHED}"
AFTERWARDS: dict[str, Callable[[Bench], StepResult]] = {
    COMPARED: cells.compare,
    "session": use.session,
    "predict.py": use.predict,
    "features": use.features,
    "LoRA": train.lora,
    "QLoRA": train.qlora,
    "torchrun": train.torchrun,
}
NAMES = (CELLS_STOCK, CELLS_BATCHED, *AFTERWARDS)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step's outcome: passed, failed (with its cause in `seen`), or left out because it needs a GPU."""

    name: str
    status: str
    seconds: float
    seen: str
    figures: dict[str, Any] = field(default_factory=dict)


def take_all(bench: Bench, *, jobs: int, say: Say) -> Iterator[Step]:
    """Take every step and yield its outcome, in the order of NAMES; `jobs` commands run at once.

    The cells come first: later steps hold their answers against those of the stock engine.
    """
    for name, engine in ((CELLS_STOCK, STOCK), (CELLS_BATCHED, BATCHED)):
        yield take(name, partial(cells.evaluate, engine=engine, jobs=jobs), bench, say=say)
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda name: take(name, AFTERWARDS[name], bench, say=say), AFTERWARDS)


def take(name: str, work: Callable[[Bench], StepResult], bench: Bench, *, say: Say) -> Step:
    """Take one step, telling when it begins and ends; whatever goes wrong fails this step and no other."""
    say(f"{name} ...")
    began = time.monotonic()
    try:
        seen = work(bench)
        status, line, figures = PASSED, seen.line, dict(seen.figures)
    except NeedsGpu as error:
        status, line, figures = LEFT_OUT, str(error), {}
    except VldockError as error:
        wanted = f"; expected {error.expected}" if error.expected else ""
        status, line, figures = FAILED, f"{error.message}{wanted}", {}
    except Exception as error:  # noqa: BLE001  a step that breaks is a row of the table like any other
        status, line, figures = FAILED, f"{type(error).__name__}: {error}", {}
    step = Step(name, status, round(time.monotonic() - began, 1), " ".join(line.split()), figures)
    say(f"{name}: {step.status} after {step.seconds:.1f} s: {step.seen}")
    return step
