"""GPUs of a container, resolved and printed before it starts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from vldock.common.errors import UsageError
from vldock.host.docker_engine.client import EngineStatus

DRIVER = Path("/proc/driver/nvidia/version")
HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-runtime", "nvidia-ctk")
DEVICES = re.compile(r"^(\d+|GPU-[\w-]+|MIG-[\w-]+)(,(\d+|GPU-[\w-]+|MIG-[\w-]+))*$")

Which = Callable[[str], str | None]


def why_unavailable(status: EngineStatus, *, driver: Path = DRIVER, which: Which = shutil.which) -> str | None:
    """Return why this engine cannot offer an NVIDIA GPU; None when it can."""
    if status.gpu_runtime:
        return None
    if not driver.exists():
        return "this machine has no NVIDIA driver"
    if not any(which(name) for name in HOOKS):
        return "the NVIDIA container toolkit is not installed"
    return None


def resolve(option: str, status: EngineStatus) -> tuple[str, str]:
    """Return the GPUs to request, and a line for the user.

    The request is 'none', 'all' or devices. 'auto' takes all when the engine can hand them out. Raises UsageError for
    anything that names no device.
    """
    if option == "none":
        return "none", "device: CPU, as asked"
    if option == "auto":
        reason = why_unavailable(status)
        return ("all", "device: all GPUs") if reason is None else ("none", f"device: CPU, because {reason}")
    if option == "all" or DEVICES.match(option):
        return option, f"device: GPU {option}"
    raise UsageError(f"--gpus {option}", expected="auto, all, none, or device numbers or UUIDs: 0,1")
