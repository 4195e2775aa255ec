"""GPUs of a container, resolved and printed before it starts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vldock.common import matrix
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.host.docker_engine.client import EngineStatus
from vldock.host.util.console import size_text

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


def choose_for(models: Sequence[str], option: str, status: EngineStatus, *, standin: bool) -> tuple[str, list[str]]:
    """Return the GPUs to request for these models, and lines for the user.

    Raises, beside what `resolve` does, UsageError for a model that needs a GPU with `--gpus none`, EnvironmentUnfit
    where the engine has none to give. Stand-ins run on a CPU.
    """
    chosen, line = resolve(option, status)
    if standin or chosen != "none":
        return chosen, [line]
    if reason := matrix.why_not_on_cpu(models):
        hint = "leave it out of the models, or --standin for its stand-in"
        if option == "none":
            raise UsageError(f"--gpus none: {reason}", expected="a GPU for it: --gpus auto, all, or 0,1", hint=hint)
        raise EnvironmentUnfit(f"{reason}; {line}", expected="an NVIDIA GPU", hint=hint)
    return chosen, [line, *_short_of_memory(models, status.memory)]


def named_models(argv: Iterable[str]) -> Iterator[str]:
    """Yield the values of every --model of a command; run.py takes several."""
    follows = False
    for word in argv:
        option, _, value = word.partition("=")
        if word.startswith("-"):
            follows = option in ("--model", "-m")
            yield from [value] if follows and value else []
        elif follows:
            yield word


def _short_of_memory(names: Sequence[str], memory: int | None) -> Iterator[str]:
    for model in map(matrix.find_model, names):
        if model and memory and model.cpu_memory * 1e9 > memory:
            needed = f"about {model.cpu_memory:.0f} GB of memory on a CPU, in float32"
            yield f"warning: {model.name} needs {needed}; this machine has {size_text(memory)}"
