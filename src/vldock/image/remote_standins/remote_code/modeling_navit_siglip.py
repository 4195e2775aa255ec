"""Vision tower of the stand-in: averages of every patch of pictures of any size."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PretrainedConfig
from transformers.utils import is_flash_attn_2_available

if is_flash_attn_2_available():
    # as in the published code: transformers 4.37 asks for it though nothing calls it
    from flash_attn import flash_attn_func  # type: ignore[import-not-found]  # noqa: F401


class SiglipVisionConfig(PretrainedConfig):  # type: ignore[misc]
    """Patch size, and into how many cells a side each patch is averaged."""

    model_type = "siglip_vision_model"

    def __init__(self, patch_size: int = 14, cells: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.cells = cells


class SiglipVisionTransformer(nn.Module):  # type: ignore[misc]
    """Average `cells` x `cells` cells of every patch, each of three colours."""

    def __init__(self, config: SiglipVisionConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.cells = config.cells
        self.embed_dim = 3 * config.cells**2

    def forward(self, pixel_values: torch.Tensor, patch_attention_mask: torch.Tensor) -> torch.Tensor:
        """Return (pictures, patches, embed_dim) of `pixel_values` (pictures, 3, patch, patches x patch).

        Patches outside `patch_attention_mask` (pictures, patches) become 0.
        """
        pictures, colours, side, columns = pixel_values.shape
        cells, inner = self.cells, side // self.cells
        patches = columns // side
        values = pixel_values.float().reshape(pictures, colours, cells, inner, patches, cells, inner)
        means = values.mean(dim=(3, 6)).permute(0, 3, 1, 2, 4).reshape(pictures, patches, self.embed_dim)
        return means * patch_attention_mask.unsqueeze(-1)
