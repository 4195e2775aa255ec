"""Device and dtype of VLMEvalKit's LLaVA wrapper.

GPU in half precision, else CPU in float32.
`VLDOCK_DEVICE` (cpu, cuda, cuda:1) and `VLDOCK_DTYPE` (float32, float16, bfloat16) override.
"""

from __future__ import annotations

import os
from typing import Any

import torch

from vldock.common.errors import EnvironmentUnfit
from vldock.image.llava_hooks.loading import choose_dtype


def choose_device() -> str:
    """Return VLDOCK_DEVICE, else cuda:0, else cpu.

    Raises EnvironmentUnfit for a GPU that is not there.
    """
    asked = os.environ.get("VLDOCK_DEVICE", "").strip()
    available = torch.cuda.is_available()
    if asked.startswith("cuda") and not available:
        raise EnvironmentUnfit(
            f"VLDOCK_DEVICE={asked} and no GPU is visible",
            hint="start the container with --gpus all, or leave VLDOCK_DEVICE out to run on the CPU",
        )
    return asked or ("cuda:0" if available else "cpu")


def loading_options() -> dict[str, Any]:
    """Return load_pretrained_model's arguments for the whole model on one device.

    It is loaded there directly, not through host memory.
    """
    where = choose_device()
    return {"device": where, "device_map": {"": where}, "torch_dtype": choose_dtype(None, where)}


def describe() -> str:
    """Return device and dtype, `cuda/float16`, for a run's identity."""
    where = choose_device()
    return f"{where.split(':')[0]}/{str(choose_dtype(None, where)).removeprefix('torch.')}"
