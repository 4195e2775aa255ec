"""Requirements of models, checked before one is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vldock.common import matrix, standin_choice
from vldock.common.errors import EnvironmentUnfit
from vldock.image import cuda_device


def require_gpu(names: Iterable[str]) -> None:
    """Raise EnvironmentUnfit for a model that needs a GPU where none is chosen.

    `names` are models or repositories. A stand-in runs on a CPU. torch is imported only for a model that needs a GPU.
    """
    reason = None if standin_choice.read_choice(os.environ) else matrix.why_not_on_cpu(names)
    if reason is None:
        return
    from vldock.image.vlmeval_hooks.process import placement

    device = placement.choose_device()
    if not cuda_device.is_gpu(device):
        raise EnvironmentUnfit(
            reason,
            expected=f"an NVIDIA GPU; the device here is {device}",
            hint=f"docker run --gpus all ..., or {standin_choice.VARIABLE}=1 for its stand-in",
        )
