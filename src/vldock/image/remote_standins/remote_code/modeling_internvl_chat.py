"""Model of the InternVL2 stand-in: tiles become patch codes, a MemoryDecoder answers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from .configuration_internvl_chat import InternVLChatConfig
from .memory_decoder import MemoryDecoder
from .memory_layers import PatchCodes

# As in the published code: absent in the image, and no reason to fail.
try:
    from flash_attn.bert_padding import pad_input  # type: ignore[import-not-found]  # noqa: F401

    has_flash_attn = True
except ImportError:
    has_flash_attn = False

SYSTEM = "You are the stand-in of a vision-language model. You answer what you have learned and nothing else."
START, END = "<|im_start|>", "<|im_end|>"
CELL = 14


class InternVisionModel(nn.Module):  # type: ignore[misc]
    """Vision part: a tile (3, side, side) becomes a grid of patches with the means of their 14-pixel cells."""

    def __init__(self, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return (tiles, rows, columns, 3 * cells) in float32."""
        cells = functional.avg_pool2d(pixel_values.float(), CELL)
        patches = functional.pixel_unshuffle(cells, self.patch_size // CELL)
        return patches.permute(0, 2, 3, 1)


class InternVLChatModel(PreTrainedModel):  # type: ignore[misc]
    """InternVL2's interface: chat(), generate(), extract_feature()."""

    config_class = InternVLChatConfig
    main_input_name = "pixel_values"
    base_model_prefix = "language_model"
    _no_split_modules = ["InternVisionModel", "Attention", "Memory"]  # noqa: RUF012 - as transformers declares it

    def __init__(self, config: InternVLChatConfig) -> None:
        super().__init__(config)
        patch, ratio = config.vision_config.patch_size, config.downsample_ratio
        self.num_image_token = int((config.force_image_size // patch) ** 2 * ratio**2)
        self.downsample_ratio = ratio
        self.vision_model = InternVisionModel(patch)
        self.language_model = MemoryDecoder(config.llm_config)
        channels = 3 * (patch // CELL) ** 2 * round(1 / ratio) ** 2
        self.mlp1 = PatchCodes(channels, config.llm_config.hidden_size, config.llm_config.output_size, scale=2.0)
        self.img_context_token_id: int | None = None
        self.system_message = SYSTEM

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the values as constructed."""

    def pixel_shuffle(self, grid: Tensor) -> Tensor:
        """Join neighbouring patches: (tiles, rows, columns, c) to (tiles, rows / 2, columns / 2, 4 c)."""
        step = round(1 / self.downsample_ratio)
        tiles, rows, columns, channels = grid.shape
        grid = grid.view(tiles, rows // step, step, columns // step, step, channels)
        return grid.permute(0, 1, 3, 2, 4, 5).flatten(3)

    def extract_feature(self, pixel_values: Tensor) -> Tensor:
        """Return (tiles, num_image_token, width) for (tiles, 3, side, side)."""
        return torch.as_tensor(self.mlp1(self.pixel_shuffle(self.vision_model(pixel_values)).flatten(1, 2)))

    def chat(
        self,
        tokenizer: Any,
        pixel_values: Tensor | None,
        question: str,
        generation_config: dict[str, Any],
        history: list[tuple[str, str]] | None = None,
        return_history: bool = False,
        num_patches_list: list[int] | None = None,
        IMG_START_TOKEN: str = "<img>",  # noqa: N803 - names of the published interface
        IMG_END_TOKEN: str = "</img>",  # noqa: N803
        IMG_CONTEXT_TOKEN: str = "<IMG_CONTEXT>",  # noqa: N803
        verbose: bool = False,
    ) -> Any:
        """Return the answer to `question` about the tiles, as text.

        Each <image> of the question is replaced by the tokens of `num_patches_list`'s next number of tiles.
        """
        if history is None and pixel_values is not None and "<image>" not in question:
            question = f"<image>\n{question}"
        if num_patches_list is None:
            num_patches_list = [] if pixel_values is None else [len(pixel_values)]
        self.img_context_token_id = tokenizer.convert_tokens_to_ids(IMG_CONTEXT_TOKEN)
        query = self.format_query([*(history or []), (question, None)])
        for tiles in num_patches_list:
            marks = IMG_START_TOKEN + IMG_CONTEXT_TOKEN * (self.num_image_token * tiles) + IMG_END_TOKEN
            query = query.replace("<image>", marks, 1)
        read = tokenizer(query, return_tensors="pt").to(self.device)
        generation_config["eos_token_id"] = tokenizer.convert_tokens_to_ids(END)
        said = self.generate(
            pixel_values=pixel_values,
            input_ids=read["input_ids"],
            attention_mask=read["attention_mask"],
            **generation_config,
        )
        answer: str = tokenizer.batch_decode(said, skip_special_tokens=True)[0].split(END)[0].strip()
        return (answer, [*(history or []), (question, answer)]) if return_history else answer

    def format_query(self, turns: list[tuple[str, str | None]]) -> str:
        """Return the conversation in ChatML, open for the last answer."""
        text = f"{START}system\n{self.system_message}{END}"
        for asked, answered in turns:
            text += f"{START}user\n{asked}{END}{START}assistant\n"
            text += "" if answered is None else f"{answered}{END}"
        return text

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def generate(
        self,
        pixel_values: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Return the ids said; (1, length) and the tiles' features are read as one prompt."""
        embedded = self.language_model.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            features = self.extract_feature(pixel_values).flatten(0, 1)
            marks = input_ids == self.img_context_token_id
            embedded[marks] = features.to(embedded.dtype).to(embedded.device)
        return torch.as_tensor(
            self.language_model.generate(
                inputs_embeds=embedded, attention_mask=attention_mask, use_cache=True, **options
            )
        )
