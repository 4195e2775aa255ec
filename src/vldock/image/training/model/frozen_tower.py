"""Tower of a model in training, in the feature cache's interface.

The model gets (tiles, 1, tokens, width) where pixels are (tiles, 3, side, side): one channel distinguishes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch

from vldock.common.errors import InputRefused
from vldock.image.features.processor import ClipProcessor
from vldock.image.features.towers import Tower
from vldock.image.training.model import checkpoint
from vldock.image.training.model.load import Loaded
from vldock.image.weights import model_files

STORED = "float32"  # CLIPVisionTower answers in its images' dtype: nothing is rounded
TURNING = ("16-bit", "exif-rotated")  # flaws whose acceptance makes other pixels of the same file


@dataclass
class TrainingTower(Tower):
    """Tower of `loaded`, a model in training."""

    loaded: Any = None

    @property
    def vision(self) -> Any:
        """Return LLaVA's own CLIPVisionTower."""
        return self.loaded.inner.get_vision_tower()

    @property
    def computed(self) -> str:
        """Return dtype and library as `features build` does on a CPU.

        Autocast and a GPU compute other bits, and are named.
        """
        cast = "" if self.loaded.precision == "fp32" else f", autocast {self.loaded.precision}"
        return super().computed + cast + ("" if self.device == "cpu" else " on cuda")

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return float32 (B, tokens, width) of float32 pixels (B, 3, H, W).

        They are computed as in a training step.
        """
        # no_grad and not inference_mode, whose tensors no gradient may be computed with
        with torch.no_grad(), self.loaded.autocast():
            features: torch.Tensor = self.vision(pixels.to(self.device))
        return features


@dataclass
class TrainingProcessor(ClipProcessor):
    """LLaVA's preprocessing.

    Its settings name the accepted flaws that change pixels.
    """

    accept: tuple[str, ...] = ()

    def settings(self) -> str:
        """Return `features build`'s settings, with accepted flaws that change pixels."""
        said, turned = super().settings(), sorted(set(self.accept) & set(TURNING))
        return json.dumps(json.loads(said) | {"accept": turned}, sort_keys=True) if turned else said


def tower_of(loaded: Loaded, base: str) -> TrainingTower:
    """Return the tower of the model loaded from `base`.

    `base` is a folder or repository.
    Raises InputRefused for a tower of unknown files, or one that is not deterministic (dropout).
    """
    vision = loaded.inner.get_vision_tower()
    # a LLaVA trained with its tower carries that tower's weights in its own files
    owner = base if checkpoint.has_own_tower(loaded.inner) else loaded.inner.config.mm_vision_tower
    facts = model_files.facts(owner)
    if facts is None or vision.config.attention_dropout:
        why = "drops attention at random" if facts else "is not in the cache of weights"
        raise InputRefused(f"the tower of {base} {why}", expected="a tower that is frozen, and known by its files")
    return TrainingTower(
        base, facts["sha256"], lambda: vision, vision.select_layer, vision.select_feature, loaded.device,
        vision.dtype, loaded=loaded,
    )  # fmt: skip


def pass_features_through(vision: Any) -> None:
    """Patch a tower to pass features through.

    (tiles, 1, tokens, width) becomes (tiles, tokens, width).

    Pixels are computed as before.
    """
    forward = vision.forward
    vision.forward = lambda inputs: inputs.squeeze(1) if inputs.ndim == 4 and inputs.shape[1] == 1 else forward(inputs)
