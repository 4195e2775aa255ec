"""How much memory a model will need and how much there is, on the device the models go to. Sizes in bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vldock.image import cuda_device
from vldock.image.process import stats as process_stats
from vldock.image.weights import model_files

ROOM = 1.15  # of the weights: activations, caches of keys and values, the allocator's own
SHARDS = ("*.safetensors", "*.bin")
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def where() -> str:
    """Return the device, as people name it."""
    return "the GPU" if cuda_device.is_gpu(_device()) else "this machine"


def needed(repo: str | None) -> int | None:
    """Return about what the weights of `repo` and its vision tower take in memory; None before they are here."""
    total = 0
    for name in (repo, model_files.tower_of(repo)):
        folder = model_files.folder_of(name) if name else None
        if name is None or folder is None:
            continue
        total += int(_on_disk(folder) * _growth(folder))
    return int(total * ROOM) if total else None


def free() -> int:
    """Return what can still be taken: of the GPU, or of the machine and the container's own limit."""
    device = _device()
    return cuda_device.free(device) if cuda_device.is_gpu(device) else process_stats.free_memory()


def used() -> int:
    """Return what this process takes: of the GPU, or resident in memory."""
    device = _device()
    return cuda_device.allocated(device) if cuda_device.is_gpu(device) else process_stats.resident_memory(os.getpid())


def release() -> None:
    """Give back what the allocator keeps."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _device() -> str:
    from vldock.image.vlmeval_hooks.process import placement

    return placement.device()


def _on_disk(folder: Path) -> int:
    """Return the bytes of the shards; of one format where a repository has both."""
    sizes = [sum(path.stat().st_size for path in folder.glob(pattern)) for pattern in SHARDS]
    return next((size for size in sizes if size), 0)


def _growth(folder: Path) -> float:
    """Return by how much weights grow (or shrink) from the dtype they are stored in to the one they are loaded in."""
    from vldock.image.llava_hooks.loading import dtype_for

    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    loaded = str(dtype_for(None, _device())).removeprefix("torch.")
    return BYTES[loaded] / BYTES.get(str(config.get("torch_dtype")), BYTES[loaded])
