"""Memory needed by a model, and memory free.

On the models' device; sizes in bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from vldock.common import standin_choice
from vldock.common.matrix import MODELS
from vldock.image import cuda_device
from vldock.image.process import stats as process_stats
from vldock.image.weights import model_files

ROOM = 0.15  # of an undeclared model's weights: activations, caches of keys and values, the allocator's own
SHARDS = ("*.safetensors", "*.bin")
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def where() -> str:
    """Return the device's name for a message."""
    return "the GPU" if cuda_device.is_gpu(_device()) else "this machine"


def needed_bytes(repo: str | None) -> int | None:
    """Return the estimated memory of `repo` and its vision tower, answering.

    None before they are downloaded.
    """
    total = 0
    for name in (repo, model_files.tower_of(repo)):
        folder = model_files.folder_of(name) if name else None
        if name is None or folder is None:
            continue
        total += int(_on_disk(folder) * _growth(folder))
    return total + _working(repo, total) if total else None


def free() -> int:
    """Return the free memory of the models' device.

    That of the GPU, or of the machine within the container's limit.
    """
    device = _device()
    return cuda_device.free(device) if cuda_device.is_gpu(device) else process_stats.free_memory()


def used_bytes() -> int:
    """Return this process's memory: on the GPU, else resident."""
    device = _device()
    return (
        cuda_device.allocated_bytes(device)
        if cuda_device.is_gpu(device)
        else process_stats.resident_memory(os.getpid())
    )


def release() -> None:
    """Free the CUDA allocator's cache."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _device() -> str:
    from vldock.image.vlmeval_hooks.process import placement

    return placement.choose_device()


def _working(repo: str | None, weights: int) -> int:
    """Return the bytes beside the weights: a declared model's, else a share of `weights`."""
    declared = next((model for model in MODELS if model.repo == repo), None)
    if declared is None or standin_choice.read_choice(os.environ):
        return int(weights * ROOM)
    return int(declared.working * 1e9)


def _on_disk(folder: Path) -> int:
    """Return the size of the shards in a folder.

    Those of one format, where a repository has both.
    """
    sizes = [sum(path.stat().st_size for path in folder.glob(pattern)) for pattern in SHARDS]
    return next((size for size in sizes if size), 0)


def _growth(folder: Path) -> float:
    """Return the ratio of the loaded dtype's size to the stored one's."""
    from vldock.image.llava_hooks.loading import choose_dtype

    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    loaded = str(choose_dtype(None, _device())).removeprefix("torch.")
    return BYTES[loaded] / BYTES.get(str(config.get("torch_dtype")), BYTES[loaded])
