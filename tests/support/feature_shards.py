"""Feature shards written byte by byte, without torch.

They are as the cache's own writer leaves them.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from vldock.image.features.shards import FORMAT, ShardRow
from vldock.image.features.space import Space, prompt_hash

SPACE = Space(tower="t" * 64, preprocessing="{}", layer="hidden -2, patch", computed="float32", dtype="float16")


def image(number: int) -> str:
    """Return the digest of an image given by a number."""
    return hashlib.sha256(str(number).encode()).hexdigest()


def shard(
    root: Path, *, first: int = 0, rows: int = 2, space: Space = SPACE, dataset: str = "flowers",
    prompt: str | None = None, used: float | None = None, size: int = 8,
) -> Path:  # fmt: skip
    """Write a feature shard and return its path.

    It has `rows` tensors of `size` bytes, and was last used at `used`.
    """
    tensors = {space.key(image(index), prompt): bytes([index % 256]) * size for index in range(first, first + rows)}
    header: dict[str, object] = {}
    about = []
    for place, (key, content) in enumerate(tensors.items()):
        header[key] = {"dtype": "F16", "shape": [size // 2], "data_offsets": [place * size, (place + 1) * size]}
        about.append(asdict(ShardRow(key, first + place, image(first + place), hashlib.sha256(content).hexdigest())))
    meta = {"format": FORMAT, "dataset": dataset, "written": "0.0", "prompt": json.dumps(prompt)}
    header["__metadata__"] = meta | {"space": json.dumps(asdict(space)), "rows": json.dumps(about)}
    text = json.dumps(header).encode()
    path = root / prompt_hash(prompt) / f"{dataset}_vlm{first}" / f"{space.short}-{first:012}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensors.values()))
    if used is not None:
        os.utime(path, (used, used))
    return path
