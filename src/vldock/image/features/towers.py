"""Models and processors of a build.

Their interfaces, and LLaVA's or CLIP's towers.
`VisionModel` and `Processor` are the whole interface. `open_tower` gives both for a LLaVA checkpoint or a CLIP model;
everything that identifies them is known before any weight is read, so that a run served from the cache loads none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import torch

from vldock.common import hub_cache_layout, inference_options
from vldock.common.errors import InputRefused
from vldock.common.matrix import find_model, find_remote_code
from vldock.image.features import for_evaluation as exact
from vldock.image.features.processor import ClipProcessor, Processor, layer_of
from vldock.image.features.space import Space
from vldock.image.llava_hooks import loading
from vldock.image.weights import model_files
from vldock.image.workspace import model_location

CLIP_LAYER, CLIP_TOKENS = -2, "patch"  # as LLaVA-1.5 reads a tower
OWN = re.compile("llava|clip|sharegpt4v|vicuna", re.IGNORECASE)  # names of what may have a CLIP tower
OTHER_MODELS = "another model: --model-code FILE.py (docs/use/features.md), or its .pt files: features import --help"


class Identified(Protocol):
    """Identifying properties of a model's features."""

    @property
    def identity(self) -> str:
        """Return the sha256 over the weights' files."""

    @property
    def layer(self) -> str:
        """Return the hidden state and its tokens."""

    @property
    def computed(self) -> str:
        """Return the dtype and library of the computation."""


class VisionModel(Identified, Protocol):
    """Frozen model of pixels."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return (B, tokens, width) of float32 pixels (B, 3, H, W)."""


def space_of(vl_model: Identified, processor: Processor, dtype: str = "float16") -> Space:
    """Return the space of a model's and processor's features."""
    return Space(vl_model.identity, processor.settings(), vl_model.layer, vl_model.computed, dtype)


@dataclass
class Tower:
    """CLIP tower as LLaVA uses it.

    It is loaded when the first image is encoded.
    `exact`: for an evaluation, see for_evaluation.py.
    """

    repo: str
    identity: str
    load: Callable[[], Any]
    select_layer: int = CLIP_LAYER
    select_feature: str = CLIP_TOKENS
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    exact: bool = False
    _loaded: Any = field(default=None, repr=False)

    @property
    def layer(self) -> str:
        """Return the layer's name: "hidden -2, patch"."""
        return layer_of(self.select_layer, self.select_feature)

    @property
    def computed(self) -> str:
        """Return dtype and library: "float32, torch 2.1.2"."""
        if self.exact:
            return exact.describe_computation(self.dtype, self.device)
        tower = inference_options.describe_tower(os.environ)
        return f"{str(self.dtype).removeprefix('torch.')}, torch {torch.__version__}{tower}"

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features (B, tokens, width) of pixels (B, 3, H, W).

        `pixels` are float32; features have the tower's dtype, on its device.
        """
        if self._loaded is None:
            self._loaded = self.load().to(device=self.device, dtype=self.dtype).eval()
        pixels = pixels.to(device=self.device, dtype=self.dtype)
        if self.exact:
            return torch.stack(exact.encode(self._loaded, pixels))
        with torch.inference_mode():
            features: torch.Tensor = self._loaded(pixels)
        return features


def open_tower(name: str, *, device: str | None = None, for_evaluation: bool = False) -> tuple[Tower, ClipProcessor]:
    """Return the tower and processor of a LLaVA checkpoint or CLIP model.

    `name` is VLMEvalKit's, a repository in the cache, or a folder.

    `for_evaluation`: preprocessing, key and batches are those of an evaluation with the cache (for_evaluation.py).
    Raises InputRefused where it is not here, or its tower is no CLIP model.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    name = checkpoint_of(name)
    config = loading.read_config(name)
    if config is None:
        own = OWN.search(name)
        raise InputRefused(
            f"{name}: its config.json is not in the cache" + ("" if own else ", and by its name it is another model"),
            expected="a LLaVA checkpoint or a CLIP model, cached or a folder",
            hint=hub_cache_layout.fetch_hint(name) if own else OTHER_MODELS,
        )
    model_files.require_whole(name)
    tower = model_files.tower_of(name) or name
    if tower == name and config.get("model_type") not in loading.CLIP_TYPES:
        raise _no_tower(name, f"it is a {config.get('model_type')} without a CLIP tower")
    loading.require_clip(tower)
    settings = _llava_settings(config, tower)
    # a LLaVA trained with its tower carries that tower's weights in its own files
    owner = name if settings.unfreeze_mm_vision_tower else tower
    facts = model_files.facts(owner)
    if facts is None or settings.unfreeze_mm_vision_tower:
        raise InputRefused(
            f"{name}: " + ("its tower was trained with it" if facts else f"its tower {tower} is not in the cache"),
            expected="a frozen tower: the features of a trained one are another checkpoint's",
            hint="name the tower's own folder" if facts else hub_cache_layout.fetch_hint(tower),
        )
    if for_evaluation:
        settings.image_aspect_ratio = exact.ASPECT
    made = Tower(
        tower, facts["sha256"], lambda: _load(tower, settings), settings.mm_vision_select_layer,
        settings.mm_vision_select_feature, device, loading.choose_dtype(None, device), for_evaluation,
    )  # fmt: skip
    return made, ClipProcessor(_image_processor(tower), settings)


def checkpoint_of(name: str) -> str:
    """Return the repository of a declared model's name, any other name as it is.

    Raises InputRefused for a model with remote code.
    """
    model = find_model(model_location.declared_name(name))
    if remote := find_remote_code(model.name if model else name):
        raise _no_tower(remote.name, "its vision tower is remote code")
    return model.repo if model else name


def _no_tower(name: str, why: str) -> InputRefused:
    return InputRefused(
        f"{name}: {why}, and the feature cache is for CLIP towers",
        expected="a LLaVA checkpoint (llava_v1.5_7b, sharegpt4v_7b, an export ...) or a CLIP model",
        hint=OTHER_MODELS,
    )


def _llava_settings(config: dict[str, Any], tower: str) -> SimpleNamespace:
    """Return the settings LLaVA's builder and preprocessing read from a config.

    A plain CLIP model gets LLaVA-1.5's.
    """
    return SimpleNamespace(
        mm_vision_tower=tower,
        mm_vision_select_layer=config.get("mm_vision_select_layer", CLIP_LAYER),
        mm_vision_select_feature=config.get("mm_vision_select_feature", CLIP_TOKENS),
        image_aspect_ratio=config.get("image_aspect_ratio", "pad"),
        image_grid_pinpoints=config.get("image_grid_pinpoints"),
        unfreeze_mm_vision_tower=bool(config.get("unfreeze_mm_vision_tower")),
    )


def _image_processor(tower: str) -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor.from_pretrained(tower)


def _load(tower: str, settings: SimpleNamespace) -> Any:
    from llava.model.multimodal_encoder.clip_encoder import CLIPVisionTower

    return CLIPVisionTower(tower, settings)
