"""Memory of models on a CPU, checked before one is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vldock.common import standin_choice
from vldock.common.errors import EnvironmentUnfit
from vldock.common.machine import cpu_memory
from vldock.common.matrix import MODELS
from vldock.image import cuda_device
from vldock.image.process import stats as process_stats
from vldock.image.weights.hub_snapshots import cache_root, snapshot


def require_memory(names: Iterable[str]) -> None:
    """Raise EnvironmentUnfit for a model in the cache whose weights a CPU's free memory cannot hold.

    `names` are models or repositories. Stand-ins run anywhere. torch is imported only to find a GPU in such a case.
    """
    if standin_choice.read_choice(os.environ):
        return
    named = set(names)
    here = [one.name for one in MODELS if named & {one.name, one.repo} and _is_here(one.repo)]
    reason = cpu_memory.why_too_small(here, process_stats.free_memory(), cache_root(os.environ)) if here else None
    if reason is None:
        return
    from vldock.image.vlmeval_hooks.process import placement

    device = placement.choose_device()
    if not cuda_device.is_gpu(device):
        raise EnvironmentUnfit(
            reason,
            expected=f"an NVIDIA GPU, or more memory; the device here is {device}",
            hint=f"docker run --gpus all ..., or {standin_choice.VARIABLE}=1 for its stand-in",
        )


def _is_here(repo: str) -> bool:
    """Return whether the cache holds a repository; no where it cannot be read, which the check of folders reports."""
    try:
        return snapshot(repo).revision is not None
    except OSError:
        return False
