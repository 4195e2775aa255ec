"""GPUs of a container, resolved and printed before it starts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from vldock.common import hub_cache_layout
from vldock.common.errors import EnvironmentUnfit, UsageError
from vldock.common.machine import cpu_memory
from vldock.common.names import spellings
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


def choose_for(
    models: Sequence[str], option: str, status: EngineStatus, *, standin: bool, cache: Path | None
) -> tuple[str, list[str]]:
    """Return the GPUs to request for these models, and lines for the user.

    Raises, beside what `resolve` does, EnvironmentUnfit for a model that would run on a CPU without the memory for its
    weights (those in `cache`, else the declared ones). Stand-ins run anywhere.
    """
    chosen, line = resolve(option, status)
    if standin or chosen != "none" or status.memory is None:
        return chosen, [line]
    hub = cache / hub_cache_layout.HUB_FOLDER if cache else None
    if reason := cpu_memory.why_too_small(models, status.memory, hub):
        hint = "leave it out of the models, or --standin for its stand-in"
        raise EnvironmentUnfit(reason, expected=f"an NVIDIA GPU, or more memory; {line}", hint=hint)
    return chosen, [line, *cpu_memory.describe_shortages(models, status.memory, hub)]


def named_models(argv: Iterable[str]) -> Iterator[str]:
    """Yield VLMEvalKit's names of every --model of a command; run.py takes several."""
    follows = False
    for word in argv:
        option, _, value = word.partition("=")
        if word.startswith("-"):
            follows = option in ("--model", "-m")
            yield from [spellings.resolve_model(value)] if follows and value else []
        elif follows:
            yield spellings.resolve_model(word)
