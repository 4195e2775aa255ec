"""Features of an evaluation, bit for bit those it would compute.

Rounding depends on more than matters to a training. Such a feature is stored in the dtype of its computation, each
picture was encoded alone (as in VLMEvalKit's own loop), and its key names the device.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from vldock.common import inference_options
from vldock.image import cuda_device
from vldock.image.features.space import Space
from vldock.image.weights import model_files

ASPECT = "pad"  # of VLMEvalKit's LLaVA wrapper, whatever the checkpoint's config says
IGNORED_SETTINGS = ("_name_or_path", "transformers_version", "torch_dtype")  # of a config


def describe_computation(dtype: torch.dtype, device: torch.device | str) -> str:
    """Return dtype, torch, device and batching, as a feature's key names them.

    For example "float16, torch 2.1.2+cu121, NVIDIA H200, one at a time".
    """
    device = torch.device(device)
    tower = inference_options.describe_tower(os.environ)
    where = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    if device.type == "cuda":
        where = cuda_device.name_of(device) + (" tf32" if torch.backends.cuda.matmul.allow_tf32 else "")
    return f"{name_of(dtype)}, torch {torch.__version__}, {where}, one at a time{tower}"


def name_of(dtype: torch.dtype) -> str:
    """Return a dtype's name: "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def encode(tower: Any, pixels: torch.Tensor) -> list[torch.Tensor]:
    """Return features [patches, width] of images `pixels` [B, 3, H, W].

    Each image is encoded separately.
    """
    with torch.inference_mode(), skip_unread_layers(tower):
        return [tower(pixels[i : i + 1])[0].clone() for i in range(len(pixels))]


@contextmanager
def skip_unread_layers(tower: Any) -> Iterator[None]:
    """Skip the layers of a CLIP tower above the selected one.

    LLaVA reads the last but one.

    The selected layer's output is the same bit for bit: no layer above it contributes. One thread at a time.
    """
    encoder: Any = getattr(getattr(tower.vision_tower, "vision_model", None), "encoder", None)
    layers, selected = getattr(encoder, "layers", ()), tower.select_layer
    read = selected if selected >= 0 else len(layers) + 1 + selected  # hidden state 0 is the first layer's input
    if not 0 <= read < len(layers):
        yield
        return
    encoder.layers, tower.select_layer = layers[:read], read
    try:
        yield
    finally:
        encoder.layers, tower.select_layer = layers, selected


def space_of(tower: Any, processor: Any, *, dtype: torch.dtype, device: torch.device) -> Space:
    """Return the cache space of a LLaVA's tower in memory.

    The space depends on `dtype` and `device` too.
    It is that of `features build --for-evaluation` where the weights in memory are those of the tower's files, else
    (trained with its LLaVA, or changed since) one of these very weights.
    """
    from vldock.image.features.processor import ClipProcessor, layer_of

    settings = ClipProcessor(processor, SimpleNamespace(image_aspect_ratio=ASPECT)).settings()
    layer = layer_of(tower.select_layer, tower.select_feature)
    return Space(
        digest_of_files(tower) or digest_in_memory(tower),
        settings,
        layer,
        describe_computation(dtype, device),
        name_of(dtype),
    )


def digest_in_memory(tower: Any) -> str:
    """Return the sha256 of a tower in memory.

    It covers the tower's weights and its selected layer.
    """
    known: str | None = getattr(tower, "_vldock_identity", None)
    if known is None:
        shape = [tower.select_layer, tower.select_feature, _config(tower.config)]
        digest = hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode())
        for name, values in sorted(tower.vision_tower.state_dict().items()):
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(values.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        known = tower._vldock_identity = digest.hexdigest()
    return known


def digest_of_files(tower: Any) -> str | None:
    """Return the sha256 over a tower's files, if memory contains their weights.

    None where the files are not here or the weights differ.

    Every weight is loaded and compared: a config does not always record that a tower was trained.
    """
    facts = model_files.facts(tower.vision_tower_name)
    if facts is None:
        return None
    fresh = type(tower.vision_tower).from_pretrained(tower.vision_tower_name)
    if _config(fresh.config) != _config(tower.vision_tower.config):
        return None
    ours, theirs = tower.vision_tower.state_dict(), fresh.state_dict()
    same = ours.keys() == theirs.keys() and all(_equal(ours[name], theirs[name]) for name in theirs)
    return str(facts["sha256"]) if same else None


def _equal(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return bool(torch.equal(ours.detach().cpu(), theirs.detach().to(ours.dtype)))


def _config(config: Any) -> dict[str, Any]:
    return {name: value for name, value in config.to_dict().items() if name not in IGNORED_SETTINGS}
