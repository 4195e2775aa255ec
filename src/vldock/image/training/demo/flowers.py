"""Input of the demonstration: drawn flowers and a tiny untrained LLaVA-NeXT.

The flowers have the layout of the original archive.

The flowers differ in petals, colour and centre; place, size, turn and background are drawn at random, so a held-out
flower is a new picture. The base has LLaVA-NeXT's code path (anyres, spatial_unpad) on tiles of 56 pixels: 16 patches.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vldock.image.training.data import flower_names

SIDE, WIDTH = 56, 64
GRID = [[56, 112], [112, 56], [112, 112]]


@dataclass(frozen=True)
class Kind:
    """Shape and colours of a flower.

    Petals and their colour, how slender they are, the centre's colour and its share of the size.
    """

    petals: int
    color: tuple[int, int, int]
    slender: float
    centre: tuple[int, int, int]
    share: float


KINDS: Mapping[str, Kind] = {
    "sunflower": Kind(16, (250, 200, 20), 0.22, (90, 50, 20), 0.50),
    "oxeye daisy": Kind(12, (245, 245, 245), 0.25, (250, 210, 40), 0.30),
    "corn poppy": Kind(4, (215, 30, 30), 0.75, (25, 25, 25), 0.30),
    "morning glory": Kind(5, (70, 80, 215), 0.70, (250, 240, 200), 0.22),
    "garden phlox": Kind(5, (235, 120, 190), 0.50, (200, 40, 120), 0.18),
    "californian poppy": Kind(4, (250, 130, 10), 0.70, (240, 200, 40), 0.20),
}


def draw(name: str, seed: int) -> Any:
    """Return a drawn flower as an RGB image.

    100 to 170 pixels a side, drawn from `seed`.
    """
    from PIL import Image, ImageDraw

    kind, chance = KINDS[name], random.Random(f"{name}:{seed}")
    size = (chance.randint(100, 170), chance.randint(100, 170))
    ground = tuple(chance.randint(low, low + 50) for low in (50, 110, 40))
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = chance.randint(0, size[0]), chance.randint(0, size[1])
        pen.line((x, y, x + chance.randint(-9, 9), y - chance.randint(5, 25)), fill=_near(ground, chance, 30), width=2)
    radius = min(size) * chance.uniform(0.34, 0.44)
    centre = [side / 2 + chance.uniform(-0.08, 0.08) * side for side in size]
    turn = chance.uniform(0, 2 * math.pi)
    color = _near(kind.color, chance, 15)
    for petal in range(kind.petals):
        angle = turn + 2 * math.pi * petal / kind.petals
        pen.polygon(_petal(centre, radius, angle, kind.slender), fill=_near(color, chance, 10), outline=_darker(color))
    inner = radius * kind.share
    box = (centre[0] - inner, centre[1] - inner, centre[0] + inner, centre[1] + inner)
    pen.ellipse(box, fill=_near(kind.centre, chance, 10))
    return image


def _petal(centre: list[float], radius: float, angle: float, slender: float) -> list[tuple[float, float]]:
    points = []
    for step in range(16):
        around = 2 * math.pi * step / 16
        along, across = radius * (0.5 + 0.5 * math.cos(around)), radius * 0.5 * slender * math.sin(around)
        points.append(
            (
                centre[0] + along * math.cos(angle) - across * math.sin(angle),
                centre[1] + along * math.sin(angle) + across * math.cos(angle),
            )
        )
    return points


def _near(color: tuple[int, ...], chance: random.Random, by: int) -> tuple[int, ...]:
    return tuple(max(0, min(255, part + chance.randint(-by, by))) for part in color)


def _darker(color: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(part * 3 // 4 for part in color)


def write_flowers(folder: Path, *, training: int, heldout: int) -> None:
    """Write jpg/, imagelabels.mat and setid.mat: `training` and `heldout` pictures of each flower."""
    import numpy as np
    from scipy.io import savemat

    (folder / "jpg").mkdir(parents=True)
    labels: list[int] = []
    sets: dict[str, list[int]] = {"trnid": [], "valid": [], "tstid": []}
    for name in KINDS:
        for seed in range(training + heldout):
            labels.append(flower_names.NAMES.index(name) + 1)
            draw(name, seed).save(folder / "jpg" / f"image_{len(labels):05d}.jpg", quality=92)
            sets["trnid" if seed < training else "valid"].append(len(labels))
    savemat(folder / "imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    savemat(folder / "setid.mat", {name: np.array([numbers], dtype=np.uint16) for name, numbers in sets.items()})


def write_base(folder: Path, tower: Path, *, seed: int = 0, width: int = 128, layers: int = 3) -> None:
    """Write an untrained LLaVA-NeXT and its tower.

    It has Vicuna's layout; the tokenizer is the stand-ins' own.
    """
    import numpy as np
    import torch
    from llava.model.language_model.llava_llama import LlavaConfig, LlavaLlamaForCausalLM
    from transformers import CLIPImageProcessor, CLIPVisionModel

    from vldock.image.standin.manifest import ASSETS
    from vldock.image.standin.recipe import tower as recipe
    from vldock.image.standin.recipe.llava_model import whiten_projector

    torch.manual_seed(seed)
    config = recipe.tower_config()
    config.image_size = SIDE
    vision = CLIPVisionModel(config)
    with torch.no_grad():
        vision.vision_model.embeddings.patch_embedding.weight.copy_(recipe.cosine_filters())
    vision.save_pretrained(tower)
    square = {"height": SIDE, "width": SIDE}
    CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=square).save_pretrained(tower)
    snapshots = ASSETS / "huggingface" / "models--liuhaotian--llava-v1.5-7b" / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    source = next(snapshots.iterdir())
    for name in ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    vocabulary = json.loads((source / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    model = LlavaLlamaForCausalLM(
        LlavaConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers,
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=2048, pad_token_id=0,
            mm_vision_tower=str(tower), mm_hidden_size=WIDTH, mm_projector_type="mlp2x_gelu",
            mm_vision_select_layer=-2, mm_vision_select_feature="patch", mm_patch_merge_type="spatial_unpad",
            image_aspect_ratio="anyres", image_grid_pinpoints=GRID, mm_use_im_patch_token=False,
            mm_use_im_start_end=False, use_mm_proj=True, tokenizer_model_max_length=2048,
            tokenizer_padding_side="right",
        )
    )  # fmt: skip
    for name, value in model.named_parameters():
        if value.dim() == 2 and "vision_tower" not in name:
            torch.nn.init.normal_(value, 0.0, 0.3 if "embed_tokens" in name else value.shape[1] ** -0.5)
    torch.nn.init.normal_(model.model.image_newline, std=width**-0.5)
    with torch.no_grad():
        tiles = CLIPImageProcessor.from_pretrained(tower)([draw(name, -1 - at) for name in KINDS for at in range(8)])
        seen = vision(torch.tensor(np.stack(tiles["pixel_values"])), output_hidden_states=True).hidden_states[-2]
    whiten_projector(model, seen[:, 1:].flatten(0, 1))
    model.save_pretrained(folder)
