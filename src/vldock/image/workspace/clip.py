"""CLIP tower from the cache, at the locked revision, checked before loading.

LLaVA's side is llava/model/multimodal_encoder/workspace_clip_encoder.py, which patches/patch_llava_workspace.py adds.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llava.model.multimodal_encoder.clip_encoder import CLIPVisionTower

from vldock.common import remote_code
from vldock.common import weight_files as whole
from vldock.common.image_paths import WEIGHTS_LOCK
from vldock.common.matrix import CLIP
from vldock.image.llava_hooks.loading import require_clip
from vldock.image.workspace import model_location
from vldock.image.workspace.model_location import ModelLocation

LLAVA_1_5 = SimpleNamespace(mm_vision_select_layer=-2, mm_vision_select_feature="patch")


class WorkspaceCLIPVisionTower(CLIPVisionTower):  # type: ignore[misc]  # LLaVA has no types
    """LLaVA's CLIP tower, read from the cache; `place` is its location.

    Takes images of shape (batch, 3, side, side) in the tower's dtype, gives (batch, patches, hidden_size): 336 pixels
    in patches of 14 are 576. Raises EnvironmentUnfit where the tower is not here and may not be downloaded,
    InputRefused where it is not whole, or no CLIP model.
    """

    def __init__(self, vision_tower: str = CLIP, args: Any = LLAVA_1_5, delay_load: bool = False) -> None:
        self.place = tower_location(vision_tower)
        model_location.print_location(self.place)
        if self.place.local:
            whole.require_whole(self.place.folder, repo=vision_tower)
        require_clip(self.place.path)
        super().__init__(self.place.path, args, delay_load)


def build_workspace_vision_tower(config: Any = LLAVA_1_5, **options: Any) -> WorkspaceCLIPVisionTower:
    """Return the tower of a LLaVA's config (mm_vision_tower), as build_vision_tower does."""
    name = getattr(config, "mm_vision_tower", None) or getattr(config, "vision_tower", None) or CLIP
    return WorkspaceCLIPVisionTower(name, args=config, **options)


def tower_location(name: str, lock: Path = Path(WEIGHTS_LOCK)) -> ModelLocation:
    """Return a tower's location: a folder, or the cache.

    In the cache the locked revision comes before the one of refs/main.
    """
    if Path(name).is_dir():
        return model_location.resolve(str(Path(name).absolute()))
    return model_location.find_cached(name, revision=remote_code.read_pin(name, lock).revision)
