"""The stand-ins for liuhaotian/llava-v1.5-7b and -13b: the real architecture and files, a thousandth of the width."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from llava.model.language_model.llava_llama import LlavaConfig, LlavaLlamaForCausalLM

from vldock.image.standin.recipe import tower
from vldock.image.standin.recipe.tokenizer import MAX_LENGTH

# what the checkpoint of the field says, and transformers' own writer would not
HEADER = {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava", "torch_dtype": "float16"}
GENERATION = {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


@dataclass(frozen=True, slots=True)
class Standin:
    """One stand-in model and its size; the two differ in width, depth and seed."""

    repository: str
    width: int
    layers: int
    heads: int
    seed: int


STANDINS = (
    Standin("liuhaotian/llava-v1.5-7b", width=128, layers=2, heads=4, seed=7),
    Standin("liuhaotian/llava-v1.5-13b", width=144, layers=3, heads=4, seed=13),
)


def llava_config(standin: Standin, vocabulary: int) -> LlavaConfig:
    """Return the configuration, with every mm_ value of llava-v1.5."""
    return LlavaConfig(
        vocab_size=vocabulary,
        hidden_size=standin.width,
        intermediate_size=2 * standin.width,
        num_hidden_layers=standin.layers,
        num_attention_heads=standin.heads,
        num_key_value_heads=standin.heads,
        max_position_embeddings=4096,
        max_length=4096,
        rms_norm_eps=1e-5,
        pad_token_id=0,
        freeze_mm_mlp_adapter=False,
        freeze_mm_vision_resampler=False,
        image_aspect_ratio="pad",
        mm_hidden_size=tower.WIDTH,
        mm_projector_type="mlp2x_gelu",
        mm_resampler_type=None,
        mm_use_im_patch_token=False,
        mm_use_im_start_end=False,
        mm_vision_select_feature="patch",
        mm_vision_select_layer=-2,
        mm_vision_tower=tower.REPOSITORY,
        tokenizer_model_max_length=MAX_LENGTH,
        tokenizer_padding_side="right",
        tune_mm_mlp_adapter=False,
        tune_mm_vision_resampler=False,
        unfreeze_mm_vision_tower=False,
        use_mm_proj=True,
    )


def build_llava(standin: Standin, vocabulary: int, seed: int) -> LlavaLlamaForCausalLM:
    """Return an untrained stand-in, float32; the tower must already be in the cache HF_HOME names."""
    torch.manual_seed(1000 * seed + standin.seed)
    model = LlavaLlamaForCausalLM(llava_config(standin, vocabulary))
    for name, value in model.named_parameters():
        if value.dim() == 2 and "vision_tower" not in name:
            scale = 0.3 if "embed_tokens" in name else value.shape[1] ** -0.5
            torch.nn.init.normal_(value, 0.0, scale)
    return model


def whiten_projector(model: LlavaLlamaForCausalLM, features: torch.Tensor) -> None:
    """Start the projector where images differ: centre and whiten `features` (patches, width) in its first layer."""
    first, _, second = model.model.mm_projector
    centre = features.mean(0)
    scale, turn = torch.linalg.eigh(torch.cov(features.T))
    white = turn / scale.clamp_min(scale[-1] * 1e-3).sqrt()
    with torch.no_grad():
        first.weight.copy_(first.weight @ white.T)
        first.bias.copy_(-first.weight @ centre)
        second.weight.mul_(0.5)


def write_llava(model: LlavaLlamaForCausalLM, folder: Path) -> None:
    """Write the weights as two .bin shards (float16), config.json and generation_config.json."""
    state = {name: value.detach().half() for name, value in model.state_dict().items() if "vision_tower" not in name}
    half = sum(value.numel() * 2 for value in state.values()) * 11 // 20
    model.save_pretrained(folder, state_dict=state, safe_serialization=False, max_shard_size=half)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, **HEADER}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    text = json.dumps({**GENERATION, "transformers_version": config["transformers_version"]}, indent=2) + "\n"
    (folder / "generation_config.json").write_text(text, encoding="utf-8")
