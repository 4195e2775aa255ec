"""Cost and savings of a feature-cache hit, measured inside the image.

One JSON object on standard output.

Work is reported in CPU seconds, which other work on the machine does not stretch; waiting for a disk in seconds.

The tower has the real dimensions of CLIP-L/14-336 and random weights: the arithmetic, and so the time, is the same.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

sys.path.insert(0, str(Path(__file__).parents[1]))
import honest_model

from vldock.image.features import evict, lookup, picture_rows, towers
from vldock.image.features.cache import FeatureCache
from vldock.image.features.processor import ClipProcessor
from vldock.image.features.space import Entry, Space

CLIP_L = {**honest_model.EYE, "num_hidden_layers": 24}
PICTURES = 4
SETTINGS = SimpleNamespace(image_aspect_ratio="pad")


class Reading(torch.nn.Module):
    """A CLIP model with LLaVA's choice of features."""

    def __init__(self, config: CLIPVisionConfig) -> None:
        super().__init__()
        self.clip = CLIPVisionModel(config)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the last hidden state but one, without CLS."""
        return self.clip(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]


def tower(**sizes: int) -> tuple[towers.Tower, ClipProcessor]:
    """Return a tower of random weights and CLIP's own preprocessing."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(image_size=336, patch_size=14, **sizes)
    made = towers.Tower("random", "random", lambda: Reading(config))
    size = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}
    return made, ClipProcessor(CLIPImageProcessor(**size), SETTINGS)


def photographs(folder: Path, count: int) -> list[picture_rows.ImageRow]:
    """Write `count` JPEG files; return them as rows.

    They are 640 x 480, and as compressible as photographs.
    """
    generator = torch.Generator().manual_seed(0)
    for index in range(count):
        coarse = torch.randint(0, 256, (12, 16, 3), generator=generator, dtype=torch.uint8)
        picture = Image.fromarray(coarse.numpy()).resize((640, 480), Image.Resampling.BICUBIC)
        grain = torch.randint(0, 24, (480, 640, 3), generator=generator, dtype=torch.uint8)
        picture = Image.fromarray((torch.tensor(list(picture.tobytes())).view(480, 640, 3) // 2 + grain).byte().numpy())
        picture.save(folder / f"{index:03}.jpg", quality=90)
    return picture_rows.from_folder(folder, dataset="photographs")


def seconds(work: Callable[[], Any], times: int, *, clock: Callable[[], float] = time.process_time) -> float:
    """Return the median seconds of `work`.

    They are CPU time unless another clock is given.
    """
    taken = []
    for _ in range(times):
        begun = clock()
        work()
        taken.append(clock() - begun)
    return statistics.median(taken)


def forget(root: Path) -> None:
    """Ask the kernel to drop the shards' cached pages.

    The next read comes from the disk.
    """
    for one in evict.list_shards(root):
        descriptor = os.open(one.path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def epoch(pictures: lookup.CachedPictures) -> float:
    """Return the CPU seconds of one pass over the data set.

    Batches are of 2.
    """
    return seconds(lambda: list(DataLoader(pictures, 2, collate_fn=lookup.collate)), 1)


def time_storage(
    pictures: list[picture_rows.ImageRow], features: torch.Tensor, space: Space, root: Path
) -> dict[str, float]:
    """Store and read back `features` for every image.

    Returns milliseconds and bytes per image.
    """
    root.mkdir()
    digests = [picture_rows.sha256_of(row.path.read_bytes()) for row in pictures]

    def write() -> None:
        with FeatureCache(root, space) as cache:
            for row, image in zip(pictures, digests, strict=True):
                cache.put(Entry(row.dataset, row.vlm_idx, image), features)

    found = {"store_ms": 1e3 * seconds(write, 1, clock=time.perf_counter) / PICTURES}
    found["bytes"] = sum(one.size for one in evict.list_shards(root)) / PICTURES
    forget(root)
    keys = [space.key(image) for image in digests]
    with FeatureCache(root, space) as cache:
        cold = [seconds(lambda key=key: cache.get(key), 1, clock=time.perf_counter) for key in keys]
        found["hit_ms"] = 1e3 * seconds(lambda: [cache.get(key) for key in keys * 25], 5) / (25 * PICTURES)
    return found | {"first_ms": 1e3 * statistics.mean(cold)}


def measure_tower(folder: Path, name: str, sizes: dict[str, int]) -> dict[str, Any]:
    """Return one tower's figures."""
    (folder / "pictures").mkdir(parents=True)
    pictures = photographs(folder / "pictures", PICTURES)
    vl_model, processor = tower(**sizes)
    compute = lookup.compute_function(vl_model, processor)
    content = pictures[0].path.read_bytes()
    features = compute(content)
    found: dict[str, Any] = {"tower": name, "recompute_ms": 1e3 * seconds(lambda: compute(content), 3)}
    found["decode_ms"] = 1e3 * seconds(lambda: processor(Image.open(io.BytesIO(content))), 5)
    found["picture_bytes"] = sum(row.path.stat().st_size for row in pictures) / PICTURES
    for dtype in ("float16", "float32"):
        found[dtype] = time_storage(pictures, features, towers.space_of(vl_model, processor, dtype), folder / dtype)
    half = towers.space_of(vl_model, processor)
    with FeatureCache(folder / "none", half) as nothing:
        found["epoch_without_s"] = epoch(lookup.CachedPictures(pictures, nothing, compute))
    with FeatureCache(folder / "float16", half) as cache:
        found["epoch_first_s"] = epoch(lookup.CachedPictures(pictures, cache))
        found["epoch_with_s"] = epoch(lookup.CachedPictures(pictures, cache))
    return found


def main() -> int:
    """Measure both towers and print the result."""
    small = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    with tempfile.TemporaryDirectory(dir=os.environ.get("VLDOCK_FEATURES")) as name:
        found = [
            measure_tower(Path(name, "l"), "CLIP-L/14-336", CLIP_L),
            measure_tower(Path(name, "s"), "64 channels, 3 layers", small),
        ]
    print(json.dumps({"threads": torch.get_num_threads(), "pictures": PICTURES, "towers": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
