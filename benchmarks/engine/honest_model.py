"""A compute-honest LLaVA: the widths of LLaVA-1.5-7B and of its CLIP tower, cut in depth, with random weights.

Every matrix product has the shapes of the real model, so that a second here is spent as a second there is; only the
number of layers is smaller. No token ends an answer: each is as long as max_new_tokens says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

SIDE, PATCH = 336, 14
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
)


@dataclass(frozen=True)
class Size:
    """Layers of the decoder (LLaVA-1.5-7B: 32) and of the tower (CLIP-L/14-336: 24); the rest is the real model's."""

    layers: int = 2
    tower_layers: int = 2
    width: int = 4096
    inner: int = 11008
    heads: int = 32
    vocabulary: int = 32000


def wrapper(size: Size, *, tokenizer: str, folder: Path, dtype: torch.dtype, device: str) -> Any:
    """Return VLMEvalKit's LLaVA wrapper around such a model; `tokenizer` is a LLaMA tokenizer's folder."""
    from llava.model.language_model.llava_llama import LlavaConfig, LlavaLlamaForCausalLM
    from vlmeval.vlm.llava.llava import LLaVA

    torch.manual_seed(0)
    tower = _tower(size, folder)
    config = LlavaConfig(
        vocab_size=size.vocabulary, hidden_size=size.width, intermediate_size=size.inner,
        num_hidden_layers=size.layers, num_attention_heads=size.heads, num_key_value_heads=size.heads,
        max_position_embeddings=4096, rms_norm_eps=1e-5, pad_token_id=0, mm_vision_tower=str(tower),
        mm_hidden_size=1024, mm_projector_type="mlp2x_gelu", mm_vision_select_layer=-2, use_mm_proj=True,
        mm_vision_select_feature="patch", tokenizer_model_max_length=2048,
    )  # fmt: skip
    model = LlavaLlamaForCausalLM(config)
    model.get_vision_tower().load_model()
    model.generation_config.eos_token_id = None
    made = LLaVA.__new__(LLaVA)
    made.system_prompt, made.stop_str = SYSTEM, "</s>"
    made.tokenizer = AutoTokenizer.from_pretrained(tokenizer, use_fast=False)
    with torch.no_grad():
        model.lm_head.weight[len(made.tokenizer) :] = 0  # a token this small tokenizer does not know is never the best
    made.model = model.to(device=device, dtype=dtype).eval()
    made.image_processor = model.get_vision_tower().image_processor
    made.kwargs = {"do_sample": False, "num_beams": 1, "use_cache": True}
    return made


def _tower(size: Size, folder: Path) -> Path:
    shape = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "projection_dim": 768}
    config = CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, num_hidden_layers=size.tower_layers, **shape)
    CLIPVisionModel(config).save_pretrained(folder)
    square = {"height": SIDE, "width": SIDE}
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=square).save_pretrained(folder)
    return folder
