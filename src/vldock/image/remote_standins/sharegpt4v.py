"""The stand-in for ShareGPT4V-7B: llava-v1.5-7b's stand-in over a vision tower with reordered channels.

It needs no training. One permutation of the tower's residual channels is applied to every tensor that reads or writes
them, and to the inputs of the projector's first layer: the pair answers as before, and either part together with
another's counterpart (CLIP's own tower, llava-v1.5-7b's projector) does not.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vldock.common import hub_cache_layout
from vldock.common.matrix import CLIP, LLAVA_7B
from vldock.common.matrix import SHAREGPT4V_TOWER as TOWER
from vldock.image.standin.manifest import ASSETS
from vldock.image.standin.recipe import hub

REPOSITORY = "Lin-Chen/ShareGPT4V-7B"
SEED = 4
HEADER = {"architectures": ["Share4VLlamaForCausalLM"], "model_type": "share4v", "mm_vision_tower": TOWER}
PROJECTOR = "model.mm_projector.0.weight"
# tensors whose residual channels lie on axis 1; all the others, but the ones in INNER, have them on axis 0
READERS = ("position_embedding.weight", "q_proj.weight", "k_proj.weight", "v_proj.weight", "fc1.weight")
INNER = ("q_proj.bias", "k_proj.bias", "v_proj.bias", "fc1.bias")

State = dict[str, torch.Tensor]


def channel_order(width: int) -> torch.Tensor:
    """Return the permutation of the tower's channels, int64 (width,)."""
    return torch.randperm(width, generator=torch.Generator().manual_seed(SEED))


def permute_tower(state: Mapping[str, torch.Tensor], order: torch.Tensor) -> State:
    """Return a CLIP vision tower's `state` with residual channel i taken from channel order[i]."""
    return {
        name: value if name.endswith(INNER) else value.index_select(int(name.endswith(READERS)), order).contiguous()
        for name, value in state.items()
    }


def permute_projector(state: Mapping[str, torch.Tensor], order: torch.Tensor) -> State:
    """Return a LLaVA shard's `state` with the projector's input columns in `order`, where the shard has them."""
    return {
        name: value.index_select(1, order).contiguous() if name == PROJECTOR else value for name, value in state.items()
    }


def snapshot_of(repository: str, cache: Path) -> Path:
    """Return the snapshot folder that `cache` has of `repository`; LookupError without one."""
    home = hub_cache_layout.folder(cache, repository)
    if (commit := hub_cache_layout.commit_of(home)) is None:
        raise LookupError(f"{repository} is not in {cache}")
    return hub_cache_layout.snapshot(home, commit)


def write_sharegpt4v(cache: Path, source: Path = ASSETS / "huggingface") -> tuple[Path, Path]:
    """Write the model and its tower, derived from the stand-ins in `source`, into the hub cache `cache`.

    Returns:
        The two snapshot folders.
    """
    tower = snapshot_of(CLIP, source)
    width = json.loads((tower / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    order = channel_order(width)
    model = _derive(snapshot_of(LLAVA_7B, source), REPOSITORY, cache, order, HEADER)
    return model, _derive(tower, TOWER, cache, order, {})


def _derive(base: Path, repository: str, cache: Path, order: torch.Tensor, header: Mapping[str, Any]) -> Path:
    """Copy the snapshot `base` to `repository` in `cache`, with its weights permuted and `header` in its config."""
    permute = permute_projector if repository == REPOSITORY else permute_tower
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in base.iterdir():
            if path.suffix == ".bin":
                torch.save(permute(torch.load(path, map_location="cpu"), order), folder / path.name)
            else:
                shutil.copyfile(path, folder / path.name)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text = json.dumps({**config, **header}, indent=2, sort_keys=True) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        return hub.install(folder, repository, cache)
