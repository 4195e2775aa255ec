"""Memory budget: free bytes, rows that fit, out-of-memory errors."""

from __future__ import annotations

from typing import Any

import torch

from vldock.image import cuda_device
from vldock.image.process import stats as process_stats

MOST_ON_GPU, MOST_ON_CPU = 64, 16  # rows of `auto`: on a CPU a matrix product of 8 rows takes as long as one of 16
SPARE_TOKENS = 128  # of an answer; a longer one may make the batch smaller later
SHARE_OF_FREE = 0.8  # of the free memory
CPU_MESSAGES = ("can't allocate memory", "not enough memory")  # c10's CPU allocator raises a plain RuntimeError


def free_bytes(device: torch.device) -> int:
    """Return the bytes a process may still allocate on a device.

    On a GPU with torch's unused reserve.
    """
    if device.type == "cuda":
        return cuda_device.free_to_torch(device)
    return process_stats.free_memory()


def feature_bytes() -> int:
    """Return the memory budget for image features, in bytes.

    A sixteenth of the free memory of the computing device.
    """
    return free_bytes(torch.device("cuda" if torch.cuda.is_available() else "cpu")) // 16


def prefix_bytes(device: torch.device) -> int:
    """Return the memory budget for shared prompt prefixes, in bytes.

    An eighth of the free memory, for their keys and values.
    """
    return free_bytes(device) // 8


def bytes_of_row(config: Any, *, tokens: int, dtype: torch.dtype, on_gpu: bool) -> int:
    """Return the memory of one row of `tokens`, in bytes.

    Keys, values and activations during prefill and decoding.
    """
    width, size = config.hidden_size // config.num_attention_heads, torch.finfo(dtype).bits // 8
    kept = 2 * config.num_hidden_layers * config.num_key_value_heads * width * (tokens + SPARE_TOKENS) * size
    passing = (8 * config.hidden_size + 3 * config.intermediate_size) * tokens * size
    # with padding the CPU materialises attention: scores, their softmax and a mask
    scores = 0 if on_gpu else 3 * config.num_attention_heads * tokens * tokens * size
    return int(1.25 * kept + passing + scores)


def rows_that_fit(config: Any, *, tokens: int, dtype: torch.dtype, device: torch.device) -> int:
    """Return the number of rows of `tokens` that fit on `device`.

    At the same time, and at least 1.
    """
    on_gpu = device.type == "cuda"
    row = bytes_of_row(config, tokens=tokens, dtype=dtype, on_gpu=on_gpu)
    return max(1, min(MOST_ON_GPU if on_gpu else MOST_ON_CPU, int(SHARE_OF_FREE * free_bytes(device)) // row))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means out of memory.

    On a GPU or on the CPU.
    """
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in CPU_MESSAGES)
