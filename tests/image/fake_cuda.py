"""A fake GPU: torch 2.1.2's own functions above a made-up driver, and tensors on `cuda`.

`driver(monkeypatch)` leaves torch.cuda's Python as it is, argument checks included, and replaces what it calls in C:
`cuda` without an index is refused where the real torch refuses it. `tensors()` lets a model be put on `cuda`; its
tensors are the CPU's and say that they are on a GPU, in every function torch dispatches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

FREE, TOTAL, ALLOCATED, RESERVED, PEAK = 40 << 30, 80 << 30, 3 << 30, 5 << 30, 4 << 30
NAME = "NVIDIA MADE-UP"
CPU = torch.device("cpu")
STATS = {
    "allocated_bytes": {"all": {"current": ALLOCATED, "peak": PEAK}},
    "reserved_bytes": {"all": {"current": RESERVED, "peak": RESERVED}},
}


def driver(monkeypatch: pytest.MonkeyPatch, *, count: int = 1) -> dict[str, Any]:
    """Replace torch.cuda's C functions; return the recorded settings: {"fraction": (0.9, 0)}."""
    told: dict[str, Any] = {"initialized": False}
    memory = SimpleNamespace(cudaMemGetInfo=lambda index: (FREE, TOTAL))
    card = SimpleNamespace(name=NAME, major=9, minor=0, total_memory=TOTAL)
    for place, name, value in (
        (torch.cuda, "is_available", lambda: True),
        (torch.cuda, "is_initialized", lambda: told["initialized"]),
        (torch.cuda.memory, "is_initialized", lambda: told["initialized"]),
        (torch.cuda, "device_count", lambda: count),
        (torch.cuda, "_lazy_init", lambda: told.update(initialized=True)),
        (torch.cuda.memory, "_lazy_init", lambda: told.update(initialized=True)),
        (torch.cuda, "cudart", lambda: memory),
        (torch.cuda, "_get_device_properties", lambda index: card),
        (torch._C, "_cuda_getDevice", lambda: 0),
        (torch._C, "_cuda_setDevice", lambda index: None),
        (torch._C, "_cuda_emptyCache", lambda: None),
        (torch._C, "_cuda_synchronize", lambda: None),
        (torch.cuda, "synchronize", lambda: None),
        (torch._C, "_cuda_memoryStats", lambda index: STATS),
        (torch._C, "_cuda_setMemoryFraction", lambda fraction, index: told.update(fraction=(fraction, index))),
    ):
        monkeypatch.setattr(place, name, value, raising=False)
    return told


class _Pretended(TorchFunctionMode):
    """Torch mode that computes `cuda` work on the CPU; its tensors report `device`."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.device:
            return func(*args, **(kwargs or {}))
        if func == torch.Tensor.device.__get__:
            seen = func(*args)
            return self.device if seen == CPU else seen
        if func == torch.Tensor.is_cuda.__get__:
            return True
        if func in (torch.Tensor.cuda, torch.Tensor.pin_memory):
            return args[0]
        return func(*_moved(args), **_moved(kwargs or {}))


def _moved(value: Any) -> Any:
    """Return arguments with every GPU device replaced by the CPU."""
    if isinstance(value, torch.device):
        return CPU if value.type == "cuda" else value
    if isinstance(value, str) and value.partition(":")[0] == "cuda":
        return "cpu"
    if type(value) in (list, tuple):
        return type(value)(_moved(item) for item in value)
    if type(value) is dict:
        return {name: _moved(item) for name, item in value.items()}
    return value


@contextmanager
def tensors(device: str = "cuda:0") -> Iterator[None]:
    """Compute tensors of `cuda` on the CPU, in this thread; they report `device`."""
    with _Pretended(torch.device(device)):
        yield
