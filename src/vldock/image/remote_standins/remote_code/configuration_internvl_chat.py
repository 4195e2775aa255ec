"""Configuration of the InternVL2 stand-in: a vision part and a language part."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from .memory_decoder import MemoryDecoderConfig


class InternVLChatConfig(PretrainedConfig):  # type: ignore[misc]
    """Configuration with the fields that InternVL2's callers read.

    A tile is `force_image_size` pixels a side; `patch_size` and `downsample_ratio` decide how many tokens it becomes.
    """

    model_type = "internvl_chat"
    is_composition = True

    def __init__(
        self,
        llm_config: dict[str, Any] | None = None,
        vision_config: dict[str, Any] | None = None,
        template: str = "internlm2-chat",
        force_image_size: int = 448,
        downsample_ratio: float = 0.5,
        dynamic_image_size: bool = True,
        use_thumbnail: bool = True,
        ps_version: str = "v2",
        min_dynamic_patch: int = 1,
        max_dynamic_patch: int = 12,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.llm_config = MemoryDecoderConfig(**(llm_config or {}))
        self.vision_config = PretrainedConfig(**{"image_size": 448, "patch_size": 56, **(vision_config or {})})
        self.template = template
        self.force_image_size = force_image_size
        self.downsample_ratio = downsample_ratio
        self.dynamic_image_size = dynamic_image_size
        self.use_thumbnail = use_thumbnail
        self.ps_version = ps_version
        self.min_dynamic_patch = min_dynamic_patch
        self.max_dynamic_patch = max_dynamic_patch

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the parts as dictionaries of their own."""
        fields: dict[str, Any] = super().to_dict()
        fields.update(
            llm_config=self.llm_config.to_dict(), vision_config=self.vision_config.to_dict(), model_type=self.model_type
        )
        return fields
