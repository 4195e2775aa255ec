"""Check of a model's snapshot folder in milliseconds.

It reads heads and tails of files.

Found: a shard its index names that is not there, a file of remote code (auto_map, relative imports) that is not there
or no Python, a vision tower without preprocessor_config.json, a link into nowhere, an empty file, a Git LFS pointer in
a file's place, JSON that is none, a safetensors file whose length is not what its header says, a zip archive (.bin,
.pt) cut before or inside its central directory. Not found: a flipped byte inside a tensor; `vldock check weights`
hashes for that.
Formats: https://huggingface.co/docs/safetensors, PKWARE's APPNOTE 4.3.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.common import hub_cache_layout, remote_code
from vldock.common.errors import InputRefused

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
INDEX = (".safetensors.index.json", ".bin.index.json")
WHOLE = "every file its index and its auto_map name, each of its full length"
PREPROCESSOR = "preprocessor_config.json"
TOWERS = ("clip", "clip_vision_model")
POINTER = b"version https://git-lfs.github.com/spec/"
ZIP = b"PK\x03\x04"
LEGACY_PICKLE = b"\x80\x02"  # torch.save before 1.6: no length to compare with
LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library


@dataclass(frozen=True)
class Fault:
    """One fault of a snapshot's file; `missing` when it is absent."""

    file: str
    what: str
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def find_faults(folder: Path, *, need_weights: bool = True) -> tuple[Fault, ...]:
    """Return the faults of a snapshot folder; none when it can be loaded.

    `need_weights` False is for a repository of which the tokenizer only is used.
    """
    names = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if not path.is_dir()}
    found = [fault for name, path in names.items() if (fault := file_fault(name, path))]
    if not names.keys() & {"config.json", "tokenizer_config.json"}:
        found.append(Fault("config.json", "is not there", missing=True))
    faulty = {fault.file for fault in found}
    indexes = [name for name in names if name.endswith(INDEX) and name not in faulty]
    for index in indexes:
        found += _missing_shards(index, names)
    found += [fault for fault in _code_faults(folder) if fault.file not in faulty]
    if PREPROCESSOR not in names and _is_tower(folder / "config.json"):
        found.append(Fault(PREPROCESSOR, "is not there, and a vision tower is loaded with it", missing=True))
    if need_weights and not indexes and not any(name.endswith(WEIGHTS) for name in names):
        found.append(Fault("weights", f"no file ends in {', '.join(WEIGHTS)}", missing=True))
    return tuple(found)


def require_whole(folder: Path, *, repo: str, need_weights: bool = True) -> None:
    """Raise InputRefused, naming the files, when a snapshot folder is incomplete."""
    found = find_faults(folder, need_weights=need_weights)
    if found:
        raise InputRefused(
            f"the weights of {repo} in {folder} are not whole: {'; '.join(map(str, found))}",
            expected=WHOLE,
            hint=hub_cache_layout.fetch_hint(repo),
        )


def file_fault(name: str, path: Path) -> Fault | None:
    """Return the fault of one file by its head and tail, or None."""
    if not path.exists():
        return Fault(name, "is a link into nowhere", missing=True)
    size = path.stat().st_size
    if size == 0:
        return Fault(name, "is empty (0 bytes)") if name.endswith((*WEIGHTS, ".json", ".model")) else None
    with path.open("rb") as stream:
        head = stream.read(max(len(POINTER), 8))
    if head.startswith(POINTER):
        return Fault(name, "is a Git LFS pointer, not the file it stands for")
    what = None
    if name.endswith(".json"):
        what = _json_fault(path)
    elif name.endswith(".safetensors"):
        what = _safetensors_fault(path, head, size)
    elif name.endswith(WEIGHTS):
        what = _archive_fault(path, head)
    return Fault(name, what) if what else None


def _json_fault(path: Path) -> str | None:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        return f"is no JSON: {error}"
    if path.name.endswith(INDEX) and not (isinstance(value, dict) and isinstance(value.get("weight_map"), dict)):
        return "has no weight_map"
    return None


def _code_faults(folder: Path) -> list[Fault]:
    code = remote_code.find_code(folder)
    absent = [
        Fault(name, f"is not there, and {origin} names it", missing=True) for name, origin in code.missing.items()
    ]
    return absent + [Fault(name, f"is no Python: {error}") for name, error in code.unreadable.items()]


def _is_tower(config: Path) -> bool:
    """Return whether a configuration is of a CLIP model; LLaVA's towers are (CLIPImageProcessor reads the rest)."""
    try:
        return json.loads(config.read_bytes()).get("model_type") in TOWERS
    except (OSError, ValueError, AttributeError):
        return False


def _missing_shards(index: str, files: Mapping[str, Path]) -> list[Fault]:
    shards = set(json.loads(files[index].read_bytes())["weight_map"].values())
    return [Fault(name, f"is not there, and {index} names it", missing=True) for name in sorted(shards - files.keys())]


def _safetensors_fault(path: Path, head: bytes, size: int) -> str | None:
    if size < 8:
        return f"has {size} bytes, too few for a header"
    (length,) = struct.unpack("<Q", head[:8])
    if not 2 <= length <= LONGEST_HEADER:
        return f"is no safetensors file: its header would have {length} bytes"
    if size < 8 + length:
        return f"is cut inside its header: {size} of at least {8 + length} bytes"
    with path.open("rb") as stream:
        stream.seek(8)
        text = stream.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        tensors = [value for key, value in header.items() if key != "__metadata__"]
        whole = 8 + length + max((tensor["data_offsets"][1] for tensor in tensors), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return "is no safetensors file: its header cannot be read"
    return None if size == whole else f"has {size} bytes, its header says {whole}"


def _archive_fault(path: Path, head: bytes) -> str | None:
    if head.startswith(LEGACY_PICKLE):
        return None
    if not head.startswith(ZIP):
        return "is neither a zip archive nor a pickle"
    try:
        with zipfile.ZipFile(path) as archive:
            first = min((entry.header_offset for entry in archive.infolist()), default=None)
    except (zipfile.BadZipFile, OSError, ValueError, struct.error):
        return f"is cut: {path.stat().st_size} bytes, and no central directory at their end"
    return None if first == 0 else "has lost bytes in front of its central directory"
