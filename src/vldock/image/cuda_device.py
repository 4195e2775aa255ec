"""Memory and name of the GPU behind a model's device.

Sizes in bytes.
On one GPU a LLaVA's device is `cuda`, without an index. torch 2.1.2 refuses that in some functions (mem_get_info,
set_per_process_memory_fraction) and accepts it in others (memory_allocated), so no other module calls a torch.cuda
function that takes a device; tests/unit/project/test_cuda_calls.py checks all modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TypeAlias

    import torch

    Device: TypeAlias = torch.device | str | int


def is_gpu(device: Device) -> bool:
    """Return whether a device is a GPU.

    A number is a GPU's index.
    """
    return isinstance(device, int) or str(device).startswith("cuda")


def index_of(device: Device) -> int:
    """Return the index of a GPU.

    The current one's where the device has none. Raises ValueError for the CPU.
    """
    import torch

    if isinstance(device, int):
        return device
    where = torch.device(device)
    if where.type != "cuda":
        raise ValueError(f"{where} is no GPU")
    return int(torch.cuda.current_device()) if where.index is None else int(where.index)


def free(device: Device) -> int:
    """Return the free memory of a GPU, for any process."""
    import torch

    return int(torch.cuda.mem_get_info(index_of(device))[0])


def free_to_torch(device: Device) -> int:
    """Return the GPU memory in bytes still available to torch.

    Memory that is free, or reserved by torch and unused.
    """
    import torch

    index = index_of(device)
    return free(index) + int(torch.cuda.memory_reserved(index) - torch.cuda.memory_allocated(index))


def allocated_bytes(device: Device) -> int:
    """Return the memory of this process's tensors on a GPU."""
    import torch

    return int(torch.cuda.memory_allocated(index_of(device)))


def peak_allocated(device: Device) -> int:
    """Return the peak memory of this process's tensors on a GPU."""
    import torch

    return int(torch.cuda.max_memory_allocated(index_of(device)))


def limit_memory(device: Device, fraction: float) -> None:
    """Limit this process to a fraction of a GPU's memory.

    The fraction is within 0 to 1.
    """
    import torch

    torch.cuda.set_per_process_memory_fraction(fraction, index_of(device))


def name_of(device: Device) -> str:
    """Return a GPU's name: NVIDIA H200."""
    import torch

    return str(torch.cuda.get_device_name(index_of(device)))


def properties_of_all() -> list[Any]:
    """Return the properties of every visible GPU.

    torch's: name, major, minor, total_memory. The list is empty without a usable GPU.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_properties(index) for index in range(count)]
