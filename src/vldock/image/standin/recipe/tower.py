"""The stand-in for openai/clip-vit-large-patch14-336: the real architecture and preprocessing, 64 channels wide.

It is not trained. Its patch filters are the first cosine patterns of brightness and of two colour differences, its
further weights are random, so that what an image looks like, how it was normalised, and the order of its channels all
show in the features. 576 patches, as the real tower: 336 pixels, patches of 14.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

REPOSITORY = "openai/clip-vit-large-patch14-336"
WIDTH, PATCH, IMAGE = 64, 14, 336
# luma and two colour differences of R, G, B
PLANES = ((0.577, 0.577, 0.577), (0.707, 0.0, -0.707), (0.408, -0.816, 0.408))
# attention that picks and mixes: every patch then carries a signature of its whole image
GAINS = {"q_proj": 2.0, "k_proj": 2.0, "v_proj": 3.0, "out_proj": 3.0}
PREPROCESSOR = {
    "crop_size": 336,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 336,
}


def tower_config() -> CLIPVisionConfig:
    """Return the configuration: three layers, of which LLaVA reads the last but one."""
    return CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=IMAGE,
        patch_size=PATCH,
        projection_dim=WIDTH,
    )


def cosine_filters() -> torch.Tensor:
    """Return WIDTH filters, float32 (64, 3, 14, 14): 32 of brightness, 16 of each colour difference (DCT-II)."""
    steps = (torch.arange(PATCH) + 0.5) * math.pi / PATCH
    waves = sorted(((u, v) for u in range(8) for v in range(8)), key=lambda w: (w[0] + w[1], w))
    filters = []
    for plane, count in zip(PLANES, (32, 16, 16), strict=True):
        for u, v in waves[:count]:
            pattern = torch.outer(torch.cos(u * steps), torch.cos(v * steps))
            gain = 0.9 if u == v == 0 else 2.2
            filters.append(torch.tensor(plane)[:, None, None] * pattern / pattern.norm() * gain / PATCH)
    return torch.stack(filters)


def build_tower(seed: int) -> CLIPVisionModel:
    """Return the tower with float32 parameters that are exactly representable in float16."""
    torch.manual_seed(seed)
    model = CLIPVisionModel(tower_config())
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.dim() == 2 and "embedding" not in name:
                gain = next((gain for part, gain in GAINS.items() if part in name), 0.9)
                value.normal_(0.0, gain / math.sqrt(value.shape[1]))
        embeddings = model.vision_model.embeddings
        embeddings.patch_embedding.weight.copy_(cosine_filters())
        embeddings.position_embedding.weight.normal_(0.0, 0.35)
        # what no filter feeds: a fixed part against which the contrast of the image is measured
        embeddings.position_embedding.weight.add_(torch.randn(WIDTH) * 0.5)
    model.half().float()
    return model.eval()


def write_tower(model: CLIPVisionModel, folder: Path) -> None:
    """Write config.json, pytorch_model.bin (float16) and preprocessor_config.json."""
    model.half().save_pretrained(folder, safe_serialization=False)
    model.float()
    text = json.dumps(PREPROCESSOR, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")
