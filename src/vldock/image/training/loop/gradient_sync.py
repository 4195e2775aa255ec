"""Agreement of several processes on a step.

Whether it fitted in memory, then mean gradients.
DistributedDataParallel averages during backward: where one process runs out of memory the others wait for it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class OutOfMemoryEverywhere(torch.cuda.OutOfMemoryError):  # type: ignore[misc]
    """Out of memory in at least one process, reported to all."""


def require_fitted(trouble: str | None, device: Any) -> None:
    """Raise OutOfMemoryEverywhere in every process where one had `trouble`.

    `trouble` is a process's own error, or None.
    """
    if torch.distributed.is_initialized():
        failed = torch.tensor(float(trouble is not None), device=device)
        torch.distributed.all_reduce(failed, torch.distributed.ReduceOp.MAX)
        if failed and trouble is None:
            trouble = "another process ran out of memory"
    if trouble is not None:
        raise OutOfMemoryEverywhere(trouble)


def average(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Average each gradient over the processes; a missing one counts as zeros."""
    world = torch.distributed.get_world_size()
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= world
