"""Configuration of the CogVLM stand-in: the decoder's fields, and the vision part's."""

from __future__ import annotations

from typing import Any

from .memory_decoder import MemoryDecoderConfig

# `grid_size` is the stand-in's own: an image becomes so many cells a side, where the real model has its 35 x 35 patches
VISION = {"image_size": 490, "patch_size": 14, "in_channels": 3, "num_heads": 4, "grid_size": 7}


class CogVLMConfig(MemoryDecoderConfig):
    """Configuration with the fields that CogVLM's callers read; `vision_config` is a dictionary."""

    model_type = ""

    def __init__(
        self,
        template_version: str = "chat",
        vision_config: dict[str, Any] | None = None,
        bos_token_id: int = 1,
        eos_token_id: int = 2,
        pad_token_id: int = 0,
        tie_word_embeddings: bool = False,
        **options: Any,
    ) -> None:
        self.template_version = template_version
        self.vision_config = {**VISION, **(vision_config or {})}
        super().__init__(
            bos_token_id=bos_token_id,
            eos_token_id=eos_token_id,
            pad_token_id=pad_token_id,
            tie_word_embeddings=tie_word_embeddings,
            **options,
        )
