"""Compute-honest LLaVA: LLaVA-1.5-7B's widths and its CLIP tower's, fewer layers, random weights.

Every matrix product has the shapes of the real model, so that a second here is spent as a second there is; only the
number of layers is smaller. The one recipe of every benchmark that needs such a model; run inside the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

VOCABULARY, HEAD_WIDTH = 32000, 128
EYE = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "projection_dim": 768}
SIDE, PATCH = 336, 14
SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions. "
)


@dataclass(frozen=True)
class Size:
    """Layers of decoder and tower, and the width.

    LLaVA-1.5-7B has 32 and CLIP-L/14-336 24 layers; another width is for trying it only.
    """

    layers: int = 2
    tower_layers: int = 2
    width: int = 4096

    @property
    def inner(self) -> int:
        """The width of the MLP: 11008 for 4096."""
        return self.width * 43 // 16

    @property
    def heads(self) -> int:
        """Attention heads, each of the real model's width."""
        return self.width // HEAD_WIDTH


def tower(layers: int) -> Any:
    """Return a CLIP-L/14-336 vision model of random weights with fewer layers."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    return CLIPVisionModel(CLIPVisionConfig(image_size=SIDE, patch_size=PATCH, num_hidden_layers=layers, **EYE)).eval()


def processor() -> Any:
    """Return the tower's preprocessing."""
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def language(size: Size, *, tower: str) -> Any:
    """Return a LLaVA of random weights.

    It names `tower`, a folder or a name in the cache, not loaded yet.
    """
    from llava.model.language_model.llava_llama import LlavaLlamaForCausalLM

    from vldock.image.standin.recipe import llava_model

    standin = llava_model.Standin("", width=size.width, layers=size.layers, heads=size.heads, seed=0)
    config = llava_model.llava_config(standin, VOCABULARY)
    config.intermediate_size, config.mm_hidden_size, config.mm_vision_tower = size.inner, EYE["hidden_size"], tower
    return LlavaLlamaForCausalLM(config).eval()


def wrapper(size: Size, *, tokenizer: str, folder: Path, dtype: Any, device: str) -> Any:
    """Return VLMEvalKit's LLaVA wrapper around such a model.

    `tokenizer` is a LLaMA tokenizer's folder.

    No token ends an answer: each is as long as max_new_tokens says. The tower is written into `folder`.
    """
    import torch
    from transformers import AutoTokenizer
    from vlmeval.vlm.llava.llava import LLaVA

    torch.manual_seed(0)
    tower(size.tower_layers).save_pretrained(folder)
    processor().save_pretrained(folder)
    model = language(size, tower=str(folder))
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
