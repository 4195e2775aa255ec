"""Configurations of the stand-in for MiniCPM-V 2.6."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from .memory_decoder import MemoryDecoderConfig
from .modeling_navit_siglip import SiglipVisionConfig


class MiniCPMVSliceConfig(PretrainedConfig):  # type: ignore[misc]
    """How pictures are cut into slices."""

    model_type = "minicpmv"

    def __init__(
        self, patch_size: int = 14, max_slice_nums: int = 9, scale_resolution: int = 448, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.max_slice_nums = max_slice_nums
        self.scale_resolution = scale_resolution


class MiniCPMVConfig(MemoryDecoderConfig):
    """The whole model: the decoder's values, with the vision tower's and the slices' beside them."""

    model_type = "minicpmv"

    def __init__(
        self,
        query_num: int = 64,
        image_size: int = 448,
        use_image_id: bool = True,
        vision_batch_size: int = 16,
        slice_config: dict[str, Any] | None = None,
        vision_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.query_num = query_num
        self.image_size = image_size
        self.use_image_id = use_image_id
        self.vision_batch_size = vision_batch_size
        self.slice_mode = True
        self.slice_config = MiniCPMVSliceConfig(**(slice_config or {}))
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.patch_size = self.vision_config.patch_size
        super().__init__(**kwargs)
