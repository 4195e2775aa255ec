"""Which engine answers: VLMEvalKit's own loop, one sample at a time, or the batched one; and with how many rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from vldock.common.errors import UsageError

STOCK, BATCHED = "stock", "batched"
ENGINES = (STOCK, BATCHED)
AUTO: Literal["auto"] = "auto"
ENGINE_VARIABLE = "VLDOCK_ENGINE"
BATCH_VARIABLE = "VLDOCK_BATCH_SIZE"

BatchSize = int | Literal["auto"]


@dataclass(frozen=True)
class Engine:
    """The engine that was asked for; `batch_size` is None for the stock loop, which has no batches."""

    name: str = STOCK
    batch_size: BatchSize | None = None

    def describe(self) -> str:
        """Return `stock`, `batched/16` or `batched/auto`, as a run's identity has it."""
        return self.name if self.batch_size is None else f"{self.name}/{self.batch_size}"


def choose(name: str, batch_size: str) -> Engine:
    """Return the engine of two words, each empty where nothing was asked: the stock loop, batches of `auto`.

    Raises UsageError for another engine, a batch size that is neither a whole number of at least 1 nor `auto`, and a
    batch size for the stock loop.
    """
    if name and name not in ENGINES:
        raise UsageError(f"engine {name!r} is not known", expected=" or ".join(ENGINES))
    size = _size(batch_size)
    if (name or STOCK) == STOCK:
        if size is not None:
            raise UsageError(
                f"a batch size of {batch_size} for VLMEvalKit's own loop, which answers one sample at a time",
                expected=f"a batch size with the engine {BATCHED} only",
                hint=f"add --engine {BATCHED}, or leave out --batch-size",
            )
        return Engine()
    return Engine(BATCHED, size or AUTO)


def asked(env: Mapping[str, str]) -> Engine:
    """Return the engine VLDOCK_ENGINE and VLDOCK_BATCH_SIZE ask for; raises UsageError as `choose` does.

    The stock loop is not in the way of a batch size here: a .env file may set one for the runs that have batches.
    """
    name = env.get(ENGINE_VARIABLE, "").strip()
    return choose(name, env.get(BATCH_VARIABLE, "").strip() if name == BATCHED else "")


def _size(text: str) -> BatchSize | None:
    if not text:
        return None
    if text == AUTO:
        return AUTO
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise UsageError(f"batch size {text!r}", expected="a whole number of at least 1, or auto")
