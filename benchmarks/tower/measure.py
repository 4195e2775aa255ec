"""CLIP-L/336 through eager attention and through SDPA: the same features? how much faster?

In the image: python measure.py [--dtype bfloat16] [--pictures 1] [--rounds 5]. The weights are random, of the real size
(24 layers of 1024, 577 positions), made in memory; both forwards take turns on the same pixels. On a CPU one thread and
the processor's seconds, which a busy machine moves least.
"""

from __future__ import annotations

import argparse
import statistics
import time
from types import SimpleNamespace
from typing import Any

import torch

LAYER = -2  # LLaVA reads the last hidden state but one


def make_tower(seed: int = 0) -> Any:
    """Return a random CLIPVisionModel of the real size."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
        patch_size=14, projection_dim=768,
    )  # fmt: skip
    return CLIPVisionModel(config).eval()


def encode(tower: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the features [batch, 576, 1024] LLaVA reads, and the seconds they took (on a CPU, the processor's)."""
    synchronize(pixels)
    clock = time.perf_counter if pixels.is_cuda else time.process_time
    start = clock()
    with torch.inference_mode():
        features = tower(pixels, output_hidden_states=True).hidden_states[LAYER][:, 1:]
    synchronize(pixels)
    return features, clock() - start


def synchronize(pixels: torch.Tensor) -> None:
    """Wait for the GPU, where there is one."""
    if pixels.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    """Measure and print one line."""
    from vldock.common import inference_options
    from vldock.image.llava_hooks import tower_attention

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16"])
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = getattr(torch, args.dtype)
    towers = SimpleNamespace(eager=make_tower(), sdpa=make_tower())
    tower_attention.apply(towers.sdpa, {inference_options.TOWER_VARIABLE: inference_options.SDPA})
    exact = towers.eager(_pixels(args.pictures), output_hidden_states=True).hidden_states[LAYER][:, 1:].detach()
    for tower in vars(towers).values():
        tower.to(device=device, dtype=dtype)
    pixels = _pixels(args.pictures).to(device=device, dtype=dtype)
    seconds: dict[str, list[float]] = {"eager": [], "sdpa": []}
    features = {}
    for _ in range(args.rounds + 1):
        for name, tower in vars(towers).items():
            features[name], took = encode(tower, pixels)
            seconds[name].append(took)
    eager, sdpa = (features[name].float().cpu() for name in ("eager", "sdpa"))
    times = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    print(
        f"{device}, {args.dtype}, {args.pictures} pictures: largest difference {(eager - sdpa).abs().max():.1e} of "
        f"features up to {eager.abs().max():.2f}, of norms {(eager - sdpa).norm() / eager.norm():.1e}; from float32 "
        f"eager {(eager - exact).norm() / exact.norm():.1e}, sdpa {(sdpa - exact).norm() / exact.norm():.1e}; "
        f"eager {times['eager']:.3f} s, sdpa {times['sdpa']:.3f} s, {times['eager'] / times['sdpa']:.2f} times as fast"
    )


def _pixels(pictures: int) -> torch.Tensor:
    return torch.randn(pictures, 3, 336, 336, generator=torch.Generator().manual_seed(1))


if __name__ == "__main__":
    main()
