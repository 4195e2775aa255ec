"""Inference options of a run: engine, batch size, feature cache, the vision tower's attention."""

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
CACHE_VARIABLE = "VLDOCK_FEATURE_CACHE"  # whether vision features are read from the disk and kept there: 1 or 0
LIMIT_VARIABLE = "VLDOCK_FEATURE_CACHE_LIMIT"  # of the whole cache, in GB; unset: no limit
TOWER_VARIABLE = "VLDOCK_TOWER_ATTENTION"  # of LLaVA's CLIP tower
EAGER, SDPA = "eager", "sdpa"
SWITCH = {"": False, "0": False, "1": True}

BatchSize = int | Literal["auto"]


@dataclass(frozen=True)
class Engine:
    """The requested engine; `batch_size` is None for the stock loop, without batches.

    `feature_cache`: vision features come from the disk where they are there. It moves no answer, so it is no identity.
    """

    name: str = STOCK
    batch_size: BatchSize | None = None
    feature_cache: bool = False

    def describe(self) -> str:
        """Return `stock`, `batched/16` or `batched/auto`, as a run's identity has it."""
        return self.name if self.batch_size is None else f"{self.name}/{self.batch_size}"


def choose(name: str, batch_size: str, *, feature_cache: bool = False) -> Engine:
    """Return the engine of two requests, each empty where nothing was requested.

    The stock loop; batches of `auto`.

    Raises UsageError for another engine, a batch size that is neither a whole number of at least 1 nor `auto`, and a
    batch size or the feature cache for the stock loop.
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
        if feature_cache:
            raise UsageError(
                "the feature cache for VLMEvalKit's own loop, which asks the vision tower itself",
                expected=f"the feature cache with the engine {BATCHED} only",
                hint=f"add --engine {BATCHED}, or leave out --feature-cache",
            )
        return Engine()
    return Engine(BATCHED, size or AUTO, feature_cache)


def read_engine(env: Mapping[str, str]) -> Engine:
    """Return the engine of the environment; raises UsageError as `choose` does.

    The stock loop is not in the way of a batch size or the feature cache here: a .env file may set them for the runs
    that have batches.
    """
    name = env.get(ENGINE_VARIABLE, "").strip()
    if name != BATCHED:
        return choose(name, "")
    return choose(name, env.get(BATCH_VARIABLE, "").strip(), feature_cache=read_feature_cache(env))


def read_feature_cache(env: Mapping[str, str]) -> bool:
    """Return whether VLDOCK_FEATURE_CACHE is 1; raises UsageError unless 1 or 0."""
    text = env.get(CACHE_VARIABLE, "").strip()
    if text not in SWITCH:
        raise UsageError(f"{CACHE_VARIABLE}={text}", expected="1 or 0")
    return SWITCH[text]


def read_cache_limit(env: Mapping[str, str]) -> int | None:
    """Return VLDOCK_FEATURE_CACHE_LIMIT, gigabytes, in bytes; None: no limit.

    Raises UsageError for anything but a number above 0.
    """
    text = env.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 1e9:
        raise UsageError(f"{LIMIT_VARIABLE}={text}", expected="a number of gigabytes above 0")
    return int(found * 1e9)


def read_tower_attention(env: Mapping[str, str]) -> str:
    """Return VLDOCK_TOWER_ATTENTION, eager where it is not set; raises UsageError unless eager or sdpa."""
    asked = env.get(TOWER_VARIABLE, "").strip().lower() or EAGER
    if asked not in (EAGER, SDPA):
        raise UsageError(f"{TOWER_VARIABLE}={asked}", expected=f"{EAGER} or {SDPA}")
    return asked


def describe_tower(env: Mapping[str, str]) -> str:
    """Return ", tower sdpa" where that is asked for, to end a description; nothing for transformers' own attention."""
    return f", tower {SDPA}" if read_tower_attention(env) == SDPA else ""


def _size(text: str) -> BatchSize | None:
    if not text:
        return None
    if text == AUTO:
        return AUTO
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise UsageError(f"batch size {text!r}", expected="a whole number of at least 1, or auto")
