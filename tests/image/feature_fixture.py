"""Input of the feature tests: drawn pictures, the stand-in tower, and the least model and processor of a build."""

from __future__ import annotations

import json
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path
from types import SimpleNamespace

import feature_writers
import torch
from PIL import Image

from vldock.image.features import build, picture_rows, towers
from vldock.image.features.processor import ClipProcessor
from vldock.image.standin import ASSETS

CLIP = ASSETS / "huggingface/models--openai--clip-vit-large-patch14-336"
TOWER = CLIP / "snapshots" / (CLIP / "refs/main").read_text(encoding="ascii")


@dataclass
class Mean:
    """A model of the interface and nothing more: each picture's mean colour, and how many pictures it has seen."""

    identity: str = "mean"
    layer: str = "only"
    computed: str = "float32"
    seen: int = 0

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen += len(pixels)
        return pixels.mean(dim=(2, 3)).unsqueeze(1) * torch.pi


@dataclass
class Small:
    """A processor: 8 pixels square, floats within 0..1."""

    side: int = 8

    def settings(self) -> str:
        return json.dumps({"side": self.side})

    def __call__(self, image: Image.Image) -> torch.Tensor:
        flat = torch.tensor(list(image.resize((self.side, self.side)).tobytes()), dtype=torch.float32)
        return flat.view(self.side, self.side, 3).permute(2, 0, 1) / 255


def draw(folder: Path) -> list[picture_rows.ImageRow]:
    """Draw seven pictures into a new folder and return their rows."""
    folder.mkdir()
    for index in range(7):
        Image.linear_gradient("L").rotate(31 * index).convert("RGB").save(folder / f"{index}.png")
    return picture_rows.from_folder(folder)


def built(pictures: list[picture_rows.ImageRow], cache_dir: Path, model: Mean, **options: object) -> build.BuildResult:
    """Build the features of pictures by Mean and Small, three rows a shard."""
    return build.build(pictures, vl_model=model, processor=Small(), cache_dir=cache_dir, rows_per_shard=3, **options)


def anyres(grid: tuple[tuple[int, int], ...]) -> tuple[towers.Tower, ClipProcessor]:
    """Return the stand-in tower, and LLaVA-NeXT's preprocessing: the whole picture, then each square of a grid."""
    tower, processor = towers.open_tower(str(TOWER))
    settings = SimpleNamespace(image_aspect_ratio="anyres", image_grid_pinpoints=[list(one) for one in grid])
    return tower, ClipProcessor(processor.image_processor, settings)


def forked(target: object, *args: object) -> ForkProcess:
    """Start `target` in a fork of this process."""
    torch.set_num_threads(1)  # OpenMP's threads are not in a fork, which would wait for them
    process = feature_writers.FORK.Process(target=target, args=args)
    process.start()
    return process
