"""The ranks of a build: torchrun's where it started us, else one. Gloo: counts travel, tensors do not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from torch import distributed

PATIENCE = timedelta(days=7)  # a rank with slow pictures is waited for; one that died ends the others (torchrun)
T = TypeVar("T")


@contextmanager
def started() -> Iterator[int]:
    """Join the group torchrun made, if it did; yield this process's rank."""
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        yield 0
        return
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()


def here() -> tuple[int, int]:
    """Return (rank, how many)."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def device() -> str | None:
    """Return this rank's own GPU under torchrun; None leaves the choice to the model."""
    import torch

    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{int(local) % torch.cuda.device_count()}" if local and torch.cuda.is_available() else None


def wait() -> None:
    """Wait for every rank."""
    if distributed.is_initialized():
        distributed.barrier()


def gather(value: T) -> list[T]:
    """Return every rank's value, in the order of ranks, to every rank."""
    if not distributed.is_initialized():
        return [value]
    found: list[T | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, value)
    return found  # type: ignore[return-value]
