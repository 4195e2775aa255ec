"""LLaVA's image preprocessing, and the settings that identify it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from PIL import Image


class Processor(Protocol):
    """Preprocessing of a picture into pixels."""

    def settings(self) -> str:
        """Return all settings that decide the pixels, as JSON with sorted keys."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return float32 (3, H, W), or (crops, 3, H, W)."""


@dataclass(frozen=True)
class Resized:
    """Processor of pictures that are first resized to height x width, whatever their shape."""

    processor: Processor
    height: int
    width: int

    def settings(self) -> str:
        """Return the size and the inner processor's settings."""
        return json.dumps({"resize": [self.height, self.width, "bicubic"], "then": self.processor.settings()})

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the inner processor's pixels of the resized picture."""
        return self.processor(image.resize((self.width, self.height), Image.Resampling.BICUBIC))


@dataclass
class ClipProcessor:
    """LLaVA's own preprocessing, chosen by `config`.

    Padding to a square, crops (anyres), or plain CLIP.
    """

    image_processor: Any
    config: Any

    def settings(self) -> str:
        """Return processor settings, LLaVA's settings and library versions, as JSON."""
        import PIL
        import transformers

        aspect = getattr(self.config, "image_aspect_ratio", None)
        said = {key: value for key, value in self.image_processor.to_dict().items() if not key.startswith("_")}
        said |= {"image_aspect_ratio": aspect, "pillow": PIL.__version__, "transformers": transformers.__version__}
        said |= {"decode": "first frame, not turned, RGB"}
        if aspect == "anyres":
            said["image_grid_pinpoints"] = self.config.image_grid_pinpoints
        return json.dumps(said, sort_keys=True, default=str)

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return float32 (3, H, W), or for anyres (crops, 3, H, W)."""
        from llava.mm_utils import process_images

        pixels: torch.Tensor = process_images([image.convert("RGB")], self.image_processor, self.config)[0]
        return pixels


def layer_of(select_layer: int, select_feature: str) -> str:
    """Return a layer's name: "hidden -2, patch"."""
    return f"hidden {select_layer}, {select_feature}"
