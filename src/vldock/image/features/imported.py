"""Features computed elsewhere and imported: `--model imported:NAME`.

They are read, never computed: the model itself is in another environment.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image

from vldock.common.errors import InputRefused

PREFIX = "imported:"


@dataclass(frozen=True)
class Imported:
    """Identity of a foreign model's features."""

    identity: str
    layer: str = "imported"
    computed: str = "elsewhere"

    def refuse(self) -> InputRefused:
        """Return the error of an image without imported features."""
        return InputRefused(
            f"an image has no imported features of {self.identity}",
            expected="features for every row: they cannot be computed here",
            hint="python -m vldock.image features import --pt DIR --json FILE --model-name NAME",
        )


class ImportedVision(Imported):
    """VisionModel that computes nothing."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Raise InputRefused."""
        raise self.refuse()


class ImportedPrompted(Imported):
    """PromptedModel that computes nothing."""

    def encode_prompted(self, pixels: torch.Tensor, prompt: str) -> torch.Tensor:
        """Raise InputRefused."""
        raise self.refuse()


class NoPixels:
    """Processor that only identifies the preprocessing as unknown."""

    def settings(self) -> str:
        """Return what is known of the preprocessing."""
        return '"as computed elsewhere"'

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return no pixels."""
        return torch.zeros(3, 0, 0)


def open_imported(name: str, *, prompted: bool) -> tuple[ImportedVision | ImportedPrompted, NoPixels]:
    """Return the model of features imported under `name`, and its processor."""
    return (ImportedPrompted(name) if prompted else ImportedVision(name)), NoPixels()
