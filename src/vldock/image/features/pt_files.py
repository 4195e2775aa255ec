"""Features as one torch file for each row: {root}/{prompt hash}/{data set}_vlm{index}.pt.

    cache = PtCache(Path("/data/qwen_vl_features"))
    tensor = cache.read(prompt="pick up the cup", dataset="kitchen", index=7)    # None where there is no file

The form of caches made elsewhere: `torch.save` of one float16 tensor on the CPU. Their prompt hash may be the first
digits of a sha256, sha1 or md5, or a name from a file of names.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.common.filesystem.atomic import write_bytes
from vldock.image.features.space import NO_PROMPT

ALGORITHMS = ("sha256", "sha1", "md5")
FILE_NAME = re.compile(r"(?P<dataset>.+)_vlm(?P<index>\d+)\.pt")
A_TENSOR = "torch.save of one floating-point tensor, all numbers finite"


@dataclass(frozen=True)
class PtFile:
    """File of a cache: its folder's name, data set and row."""

    path: Path
    folder: str
    dataset: str
    index: int


@dataclass
class PtCache:
    """Cache of .pt files below `root`.

    `names` are folders by prompt. Without one a folder is found by its digits, and a new one
    is named by the first `digits` of `algorithm`.
    """

    root: Path
    names: Mapping[str, str] = field(default_factory=dict)
    algorithm: str = ALGORITHMS[0]
    digits: int = 8
    _lengths: tuple[int, ...] | None = field(default=None, repr=False)

    def read(self, *, prompt: str | None, dataset: str, index: int) -> torch.Tensor | None:
        """Return a row's tensor, as the file has it; None where there is no file.

        Raises InputRefused for a file that is not one finite tensor.
        """
        path = self.find(prompt=prompt, dataset=dataset, index=index)
        return None if path is None else read_tensor(path)

    def find(self, *, prompt: str | None, dataset: str, index: int) -> Path | None:
        """Return the path of a row's file, or None."""
        name = file_name(dataset, index)
        return next((path for one in self._folders(prompt) if (path := self.root / one / name).is_file()), None)

    def write(
        self, tensor: torch.Tensor, *, prompt: str | None, dataset: str, index: int, dry_run: bool = False
    ) -> bool:
        """Store a row as float16, atomically; return False where the same is there.

        `dry_run` stores nothing and returns the same.
        Raises InputRefused for other content at its place: nothing is overwritten.
        """
        kept = tensor.detach().to(device="cpu", dtype=torch.float16, copy=True).contiguous()
        path = self.find(prompt=prompt, dataset=dataset, index=index) or self.path_of(prompt, dataset, index)
        if not torch.isfinite(kept).all():
            raise InputRefused(f"{path}: its features are not finite as float16", expected="numbers within 65504")
        if path.exists():
            if not torch.equal(read_tensor(path), kept):
                raise InputRefused(f"{path} has other content", expected="no file, or the same tensor")
            return False
        if dry_run:
            return True
        stream = io.BytesIO()
        torch.save(kept, stream)
        write_bytes(path, stream.getvalue())
        self._lengths = tuple(sorted({*self._list_lengths(), len(path.parent.name)}))
        return True

    def path_of(self, prompt: str | None, dataset: str, index: int) -> Path:
        """Return the path of a new file, in the prompt's folder where it has one."""
        new = NO_PROMPT if prompt is None else self.names.get(prompt) or digest(prompt, self.algorithm)[: self.digits]
        folder = next((one for one in self._folders(prompt) if (self.root / one).is_dir()), new)
        return self.root / folder / file_name(dataset, index)

    def _folders(self, prompt: str | None) -> Iterator[str]:
        """Yield names a prompt's folder may have: the given one, else digests as long as those there."""
        if prompt is None:
            yield NO_PROMPT
        elif prompt in self.names:
            yield self.names[prompt]
        else:
            for algorithm in (self.algorithm, *(one for one in ALGORITHMS if one != self.algorithm)):
                yield from (digest(prompt, algorithm)[:length] for length in reversed(self._list_lengths()))

    def _list_lengths(self) -> tuple[int, ...]:
        """Return how many digits the folders below `root` have; they are listed once."""
        if self._lengths is None:
            there = [one.name for one in self.root.iterdir()] if self.root.is_dir() else []
            self._lengths = tuple(sorted({len(one) for one in there if re.fullmatch(r"[0-9a-f]{4,64}", one)}))
        return self._lengths


def read_pt(
    root: Path, *, prompt: str | None, dataset: str, index: int, names: Mapping[str, str] | None = None
) -> torch.Tensor | None:
    """Return one row's tensor, or None; for many rows, PtCache."""
    return PtCache(root, names or {}).read(prompt=prompt, dataset=dataset, index=index)


def write_pt(
    root: Path, tensor: torch.Tensor, *, prompt: str | None, dataset: str, index: int,
    names: Mapping[str, str] | None = None,
) -> bool:  # fmt: skip
    """Store one row; return whether it was written; for many rows, PtCache."""
    return PtCache(root, names or {}).write(tensor, prompt=prompt, dataset=dataset, index=index)


def read_tensor(path: Path) -> torch.Tensor:
    """Return the tensor of a file; no code in it is run.

    Raises InputRefused, naming the file, for anything else.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's restricted unpickler meets other bytes with whatever it stumbles over
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputRefused(f"{path} cannot be read: {why}", expected=A_TENSOR) from error
    if not isinstance(found, torch.Tensor) or not found.is_floating_point():
        kind = f"tensor of {found.dtype}" if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputRefused(f"{path} holds a {kind}", expected=A_TENSOR)
    if not found.numel() or not torch.isfinite(found).all():
        raise InputRefused(
            f"{path}: {'numbers that are not finite' if found.numel() else 'no numbers'}", expected=A_TENSOR
        )
    return found.detach()


def as_tokens(tensor: torch.Tensor) -> torch.Tensor:
    """Return (tokens, width) of a pooled (width), or of any shape with leading ones.

    Raises InputRefused for a batch.
    """
    while tensor.dim() > 2 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.dim() not in (1, 2):
        raise InputRefused(
            f"a tensor of shape {tuple(tensor.shape)}", expected="(width), (tokens, width), or ones before"
        )
    return tensor[None] if tensor.dim() == 1 else tensor


def list_files(root: Path) -> Iterator[PtFile]:
    """Yield the files of a cache, sorted."""
    for path in sorted(root.glob("*/*.pt")):
        if matched := FILE_NAME.fullmatch(path.name):
            yield PtFile(path, path.parent.name, matched["dataset"], int(matched["index"]))


def read_names(path: Path) -> dict[str, str]:
    """Return the folders by prompt of a JSON file.

    Raises InputRefused for other content.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputRefused(f"{path} cannot be read: {error}", expected='JSON: {"prompt": "folder"}') from error
    if not isinstance(found, dict) or not all(isinstance(one, str) and _is_name(one) for one in found.values()):
        raise InputRefused(f"{path} is no table of folders", expected='JSON: {"prompt": "folder"}, each one name')
    return found


def file_name(dataset: str, index: int) -> str:
    """Return a row's file name: "kitchen_vlm7.pt"."""
    if not _is_name(dataset) or index < 0:
        raise UsageError(f"data set {dataset!r}, row {index}", expected="a name without / and a row from 0")
    return f"{dataset}_vlm{index}.pt"


def digest(prompt: str, algorithm: str) -> str:
    """Return a prompt's digest, in hexadecimal digits."""
    return hashlib.new(algorithm, prompt.encode(), usedforsecurity=False).hexdigest()


def _is_name(text: str) -> bool:
    return bool(text) and "/" not in text and "\0" not in text and not text.startswith(".")
