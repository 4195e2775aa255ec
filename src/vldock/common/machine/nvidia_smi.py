"""GPU UUIDs in the output of `nvidia-smi -L`, on both sides.

--gpus and CUDA_VISIBLE_DEVICES take them.
"""

from __future__ import annotations

import re

UUID = re.compile(r"\b((?:GPU|MIG)-[\w/-]+)")


def parse_gpu_list(text: str) -> list[str]:
    """Return the UUIDs in `nvidia-smi -L`'s output.

    A GPU with MIG slices is listed as its slices.
    """
    names: list[str] = []
    for line in text.splitlines():
        match = UUID.search(line)
        if match is None:
            continue
        if match[1].startswith("MIG-") and names and names[-1].startswith("GPU-"):
            names.pop()
        names.append(match[1])
    return names
