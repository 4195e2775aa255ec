"""Models of a user's own file: `--model-code FILE.py`.

The file defines `open_model()`, or `open_model(device)`, that returns (model, processor): a VisionModel or
PromptedModel, and a Processor. The file is executed. Its sha256 is part of the key, so an edited file is another model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from vldock.common.errors import InputRefused, UsageError
from vldock.common.hashing import sha256_file
from vldock.image.features.processor import Processor
from vldock.image.features.prompt_features import PromptedModel
from vldock.image.features.towers import VisionModel

MEMBERS = ("identity", "layer", "computed")


@dataclass(frozen=True)
class _Coded:
    """Model with the sha256 of its code in what identifies it."""

    model: Any
    sha256: str

    @property
    def identity(self) -> str:
        return hashlib.sha256(f"{self.model.identity} {self.sha256}".encode()).hexdigest()

    @property
    def layer(self) -> str:
        return str(self.model.layer)

    @property
    def computed(self) -> str:
        return str(self.model.computed)


class CodedVision(_Coded):
    """VisionModel of a user's file."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the model's features."""
        found: torch.Tensor = self.model.encode(pixels)
        return found


class CodedPrompted(_Coded):
    """PromptedModel of a user's file."""

    def encode_prompted(self, pixels: torch.Tensor, prompt: str) -> torch.Tensor:
        """Return the model's features."""
        found: torch.Tensor = self.model.encode_prompted(pixels, prompt)
        return found


def open_code(
    path: Path, *, prompted: bool, device: str | None = None
) -> tuple[VisionModel | PromptedModel, Processor]:
    """Return the model and processor of a file.

    `prompted`: its `encode_prompted` is used, else its `encode`.
    Raises UsageError for a file that is not there, InputRefused, naming the file, for one without the interface.
    """
    if not path.is_file():
        raise UsageError(f"--model-code {path}: no such file", expected="a Python file that defines open_model()")
    make = getattr(_load(path), "open_model", None)
    if not callable(make):
        raise _unfit(path, "it defines no open_model()")
    made = make(device or default_device()) if inspect.signature(make).parameters else make()
    if not isinstance(made, tuple) or len(made) != 2:
        raise _unfit(path, f"open_model() returned a {type(made).__name__}")
    model, processor = made
    method = "encode_prompted" if prompted else "encode"
    lacking = [name for name in (*MEMBERS, method) if not hasattr(model, name)]
    lacking += [f"processor.{name}" for name in ("settings", "__call__") if not hasattr(processor, name)]
    if lacking:
        other = "" if method not in lacking or prompted else "; with --prompt or --prompt-key encode_prompted is used"
        raise _unfit(path, f"its model lacks {', '.join(lacking)}{other}")
    kind = CodedPrompted if prompted else CodedVision
    coded: Any = kind(model, sha256_file(path))
    return coded, processor


def default_device() -> str:
    """Return the device's name: cuda, or cpu without a GPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("vldock_model_code", path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"--model-code {path}", expected="a file ending in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _unfit(path: Path, why: str) -> InputRefused:
    return InputRefused(
        f"{path}: {why}",
        expected=f"open_model() that returns (model, processor); the model has {', '.join(MEMBERS)} and encode or "
        "encode_prompted, the processor settings() and is called with an image",
        hint="docs/use/features.md has a whole example",
    )
