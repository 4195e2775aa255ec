"""Weights of a few hundred bytes, and their locks.

The weights have the real formats.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LLAVA, CLIP = "liuhaotian/llava-v1.5-7b", "openai/clip-vit-large-patch14-336"


def safetensors(size: int = 64, seed: int = 0) -> bytes:
    """Return a safetensors file of one tensor of `size` bytes."""
    header = json.dumps({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + random.Random(seed).randbytes(size)


def torch_archive(size: int = 64, seed: int = 0) -> bytes:
    """Return a zip as torch.save writes it, uncompressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", random.Random(seed).randbytes(size))
    return out.getvalue()


def model(size: int = 4096) -> dict[str, bytes]:
    """Return the files of a model of two shards.

    Some of them are read by no loader.
    """
    shards = {f"model-0000{n}-of-00002.safetensors": safetensors(size, seed=n) for n in (1, 2)}
    index = {"metadata": {}, "weight_map": dict(zip("ab", shards, strict=True))}
    return {
        "config.json": b'{"model_type": "llava"}\n',
        "tokenizer.model": b"\x0a\x0bvocabulary",
        "model.safetensors.index.json": json.dumps(index).encode(),
        **shards,
        "sub/extra.json": b"{}",
        "flax_model.msgpack": b"flax",
        "pytorch_model.bin": b"the same again",
    }


REMOTE_CODE = {
    "config.json": b'{"auto_map": {"AutoModel": "modeling.M"}}',
    "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["tokens.T", null]}}',
    "modeling.py": b"from .config import C",
    "config.py": b"C = 1",
    "tokens.py": b"T = 1",
    "model.safetensors": safetensors(),
}


def tower() -> dict[str, bytes]:
    """Return the files of a vision tower."""
    return {"config.json": b"{}", "preprocessor_config.json": b'{"size": 336}', "pytorch_model.bin": torch_archive()}


def table(name: str, size: int = 2000) -> bytes:
    """Return a benchmark's file."""
    image = random.Random(name).randbytes(size).hex()
    return f"index\timage\tquestion\tanswer\n{name}\t{image}\tWhich?\tyes\n".encode()


def write_locks(
    folder: Path,
    *,
    endpoint: str,
    tables: dict[str, bytes],
    repos: Iterable[str] = (LLAVA, CLIP),
    revision: str | None = None,
) -> Path:
    """Write locks of tables and repositories; return their folder.

    The tables are at `endpoint`/tsv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "url": f"{endpoint}/tsv/{name}.tsv",
            "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "size": None,
            "sha256": None,
        }
        for name, content in tables.items()
    ]
    (folder / "datasets.json").write_text(json.dumps({"schema": 1, "source": "tests", "benchmarks": rows}))
    entries = [{"repo": repo, "revision": revision, "only": None, "files": None} for repo in repos]
    (folder / "weights.json").write_text(json.dumps({"schema": 1, "endpoint": endpoint, "repositories": entries}))
    return folder
