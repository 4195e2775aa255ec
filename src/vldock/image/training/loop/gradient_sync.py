"""Several processes in one step: whether the batch fitted all of them, and only then the mean of their gradients.

DistributedDataParallel averages during backward: where one process runs out of memory the others wait for it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class OutOfMemoryEverywhere(torch.cuda.OutOfMemoryError):  # type: ignore[misc]
    """A batch did not fit one of the processes, and all of them know."""


def require_fitted(trouble: str | None, device: Any) -> None:
    """Raise OutOfMemoryEverywhere in every process where `trouble`, a process's own error, is not None in one."""
    if torch.distributed.is_initialized():
        failed = torch.tensor(float(trouble is not None), device=device)
        torch.distributed.all_reduce(failed, torch.distributed.ReduceOp.MAX)
        if failed and trouble is None:
            trouble = "another process ran out of memory"
    if trouble is not None:
        raise OutOfMemoryEverywhere(trouble)


def average(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes; a process without one counts as zeros."""
    world = torch.distributed.get_world_size()
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= world
