"""Device and dtype of VLMEvalKit's wrappers.

GPU in half precision (float16 for LLaVA, bfloat16 for models with remote code), else CPU in float32.
`VLDOCK_DEVICE` (cpu, cuda, cuda:1) and `VLDOCK_DTYPE` (float32, float16, bfloat16) override; `VLDOCK_DEVICE_MAP`
(auto, balanced, balanced_low_0, sequential) spreads a model with remote code over all visible GPUs.
"""

from __future__ import annotations

import os
from typing import Any

import torch

from vldock.common import inference_options
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.image.llava_hooks.loading import SPREADING_MAPS, choose_dtype

HALF = {  # by wrapper
    **dict.fromkeys(("LLaVA", "OwnLLaVA"), "float16"),
    **dict.fromkeys(("InternVLChat", "MiniCPM_V_2_6", "CogVlm"), "bfloat16"),
}
MAP_VARIABLE = "VLDOCK_DEVICE_MAP"


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


def pretrained_options() -> dict[str, Any]:
    """Return from_pretrained's arguments for a model with remote code.

    The whole model is on one device and loaded there directly, unless VLDOCK_DEVICE_MAP spreads it.
    Raises UsageError for an unknown VLDOCK_DEVICE_MAP.
    """
    where, spread = choose_device(), os.environ.get(MAP_VARIABLE, "").strip()
    if spread and spread not in SPREADING_MAPS:
        raise UsageError(f"{MAP_VARIABLE}={spread}", expected=", ".join(SPREADING_MAPS))
    device_map = spread if spread and where.startswith("cuda") else {"": where}
    dtype = choose_dtype(None, where, half="bfloat16")
    return {"torch_dtype": dtype, "low_cpu_mem_usage": True, "device_map": device_map}


def describe(wrapper: str) -> str:
    """Return device and dtype of a wrapper's class, `cuda/float16`, for a run's identity.

    A LLaVA's tower through SDPA is named, too. The dtype of a class that chooses its own is `unknown`.
    """
    where = choose_device()
    half = HALF.get(wrapper)
    dtype = str(choose_dtype(None, where, half=half)).removeprefix("torch.") if half else "unknown"
    tower = inference_options.describe_tower(os.environ) if half == "float16" else ""
    return f"{where.split(':')[0]}/{dtype}{tower}"
