"""Checks of GPU, driver and shared memory.

Their expectations are those of torch 2.1.2's builds.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from vldock.common.check import Check
from vldock.image import cuda_device

DRIVER_NEEDED = 12000  # CUDA 12.1 runs on every driver of the CUDA 12 series (minor version compatibility)
SHM_NEEDED = 1 << 30
GPUS = "docker run --gpus all ... (the host needs NVIDIA's driver and its container toolkit)"
TOO_NEW = (
    "this GPU is newer than torch 2.1.2: use an Ampere, Ada or Hopper GPU (sm_80 to sm_90); "
    "Blackwell needs torch 2.7 or newer"
)


@dataclass(frozen=True)
class Gpu:
    """One visible GPU: name, compute capability, memory in GiB."""

    name: str
    capability: tuple[int, int]
    memory: float


@dataclass(frozen=True)
class Machine:
    """GPUs and driver as reported by torch and the driver's library.

    `driver_cuda` is 1000 x major + 10 x minor, None without a driver library.
    """

    device_files: int
    driver_cuda: int | None
    usable: bool
    architectures: tuple[str, ...]
    gpus: tuple[Gpu, ...]
    torch_cuda: str


def read_machine() -> Machine:
    """Read the machine through torch, /dev and the driver's library."""
    import torch

    return Machine(
        device_files=len(list(Path("/dev").glob("nvidia[0-9]*"))),
        driver_cuda=_driver_cuda(),
        usable=torch.cuda.is_available(),
        architectures=tuple(torch.cuda.get_arch_list()),
        gpus=tuple(
            Gpu(gpu.name, (gpu.major, gpu.minor), gpu.total_memory / 2**30) for gpu in cuda_device.properties_of_all()
        ),
        torch_cuda=str(torch.version.cuda),
    )


def check_gpu(*, required: bool = False) -> list[Check]:
    """Check this machine's GPUs."""
    return judge(read_machine(), required=required)


def judge(machine: Machine, *, required: bool) -> list[Check]:
    """Return the findings about driver, architecture and count, each with advice."""
    if machine.gpus:
        count = f"{len(machine.gpus)} visible to torch, {machine.device_files or 'no'} device files"
        return [
            *(_judge_one(index, gpu, machine) for index, gpu in enumerate(machine.gpus)),
            Check("gpu count", "ok", count),
        ]
    if machine.driver_cuda is not None and machine.driver_cuda < DRIVER_NEEDED:
        return [_old_driver(machine)]
    if machine.driver_cuda is not None or machine.device_files:
        seen = f"a driver, {machine.device_files} device files, and CUDA does not start"
        hint = f"{GPUS}; CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', '(unset)')}"
        return [Check("gpu", "fail", seen, "a GPU that torch can use", hint)]
    hint = f"to use a GPU: {GPUS}"
    return [Check("gpu", "fail" if required else "warn", "no GPU: runs on the CPU, slow", "one NVIDIA GPU", hint)]


def _old_driver(machine: Machine) -> Check:
    major, minor = divmod((machine.driver_cuda or 0) // 10, 100)
    return Check(
        "gpu driver",
        "fail",
        f"the driver supports CUDA {major}.{minor}",
        f"CUDA 12, for torch's CUDA {machine.torch_cuda}",
        "install NVIDIA driver 525.60.13 or newer on the host",
    )


def _judge_one(index: int, gpu: Gpu, machine: Machine) -> Check:
    name = f"gpu {index}"
    seen = f"{gpu.name}, sm_{gpu.capability[0]}{gpu.capability[1]}, {gpu.memory:.0f} GiB"
    expected = " ".join(machine.architectures)
    if not runs_on(gpu.capability, machine.architectures):
        newest = max((arch_of(name) for name in machine.architectures), default=(0, 0))
        hint = TOO_NEW if gpu.capability > newest else "this GPU is older than any torch 2.1.2 was built for"
        return Check(name, "fail", seen, expected, hint)
    return Check(name, "ok", seen)


def runs_on(capability: tuple[int, int], architectures: tuple[str, ...]) -> bool:
    """Return whether a GPU runs code of one of `architectures`.

    Same major version, minor not above its own.
    """
    built = [arch_of(name) for name in architectures if name.startswith("sm_")]
    return any(major == capability[0] and minor <= capability[1] for major, minor in built)


def arch_of(name: str) -> tuple[int, int]:
    """Return (8, 6) of "sm_86" and (12, 0) of "sm_120"."""
    digits = "".join(character for character in name.split("_")[-1] if character.isdigit())
    return int(digits[:-1]), int(digits[-1])


def _driver_cuda() -> int | None:
    """Return the CUDA version of the driver's library.

    None where the container has no such library.
    """
    version = ctypes.c_int()
    try:
        status = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return version.value if status == 0 else None


def check_shm(path: Path = Path("/dev/shm")) -> list[Check]:
    """Check the size of /dev/shm.

    Evaluation does not use shared memory; the workers of a training run do.
    """
    if not path.is_dir():
        return [Check("/dev/shm", "warn", "absent", "a tmpfs", "--shm-size 8g")]
    stats = os.statvfs(path)
    size = stats.f_frsize * stats.f_blocks
    seen = f"{size / 2**20:.0f} MiB"
    if size < SHM_NEEDED:
        return [
            Check(
                "/dev/shm",
                "warn",
                seen,
                "1 GiB to train with workers; evaluation needs none",
                "--shm-size 8g or --ipc=host",
            )
        ]
    return [Check("/dev/shm", "ok", seen)]
